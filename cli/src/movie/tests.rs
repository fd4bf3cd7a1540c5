use super::*;

fn movie() -> Movie {
    Movie::new(80, 128, 64, 7)
}

/// The corner (y, x) that recentering computes: the truncated centroid minus half the crop, limited to the frame.
fn recentered_corner(movie: &Movie, pixels: &Array2<u8>) -> (usize, usize) {
    let (mut y_sum, mut x_sum, mut total) = (0, 0, 0);
    for ((y, x), &pixel) in pixels.indexed_iter() {
        y_sum += y * usize::from(pixel);
        x_sum += x * usize::from(pixel);
        total += usize::from(pixel);
    }
    let corner = |sum: usize| (sum / total).saturating_sub(movie.crop / 2).min(movie.size - movie.crop);
    (corner(y_sum), corner(x_sum))
}

/// Power of one bin of a series without its mean.
fn power(series: &[f64], bin: usize) -> f64 {
    let mean = series.iter().sum::<f64>() / series.len() as f64;
    let (mut re, mut im) = (0.0, 0.0);
    for (t, value) in series.iter().enumerate() {
        let angle = TAU * (bin * t % series.len()) as f64 / series.len() as f64;
        re += (value - mean) * angle.cos();
        im -= (value - mean) * angle.sin();
    }
    re * re + im * im
}

#[test]
fn recentering_holds_the_drifting_cell_still() {
    for seed in [7, 2017] {
        let movie = Movie::new(80, 128, 64, seed);
        let corners: Vec<_> = (0..80).map(|t| recentered_corner(&movie, &movie.frame(t))).collect();
        let drawn: Vec<_> = (0..80).map(|t| movie.corner(t)).collect();
        assert_eq!(corners, drawn);
        let reach = |axis: fn(&(usize, usize)) -> usize| drawn.iter().map(axis).max().unwrap() - drawn.iter().map(axis).min().unwrap();
        assert!(reach(|c| c.0) > 30 && reach(|c| c.1) > 30);
    }
}

#[test]
fn every_beat_is_the_strongest_line_of_its_pixels() {
    let movie = movie();
    let frames: Vec<_> = (0..80).map(|t| (movie.frame(t), movie.corner(t))).collect();
    let beats = movie.beats();
    assert_eq!(beats.iter().map(|b| b.cycles).collect::<Vec<_>>(), [4, 10, 16, 27]);
    for beat in beats {
        assert!(beat.rows.contains(&beat.pixel().0) && beat.columns.contains(&beat.pixel().1));
        for (row, column) in beat.rows.clone().flat_map(|row| beat.columns.clone().map(move |column| (row, column))) {
            let at = |&(ref pixels, (top, left)): &(Array2<u8>, (usize, usize))| f64::from(pixels[[top + row, left + column]]);
            let series: Vec<f64> = frames.iter().map(at).collect();
            let strongest = (1..=40).max_by(|&a, &b| power(&series, a).total_cmp(&power(&series, b)));
            assert_eq!(strongest, Some(beat.cycles), "{} at ({row}, {column})", beat.name);
        }
    }
}

#[test]
fn a_movie_depends_on_its_seed_alone() {
    assert_eq!(movie().frame(3), movie().frame(3));
    assert_ne!(movie().frame(3), movie().frame(4));
    assert_ne!(movie().frame(3), Movie::new(80, 128, 64, 8).frame(3));
    assert!(movie().frame(3).iter().all(|&pixel| pixel < 250), "a pixel is overexposed");
}

#[test]
fn a_frame_is_a_png_of_its_pixels() {
    let movie = movie();
    let png = movie.png(5).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.height, info.width, info.bit_depth), (128, 128, png::BitDepth::Eight));
    assert_eq!(pixels, movie.frame(5).into_raw_vec_and_offset().0);
}

#[test]
fn any_size_gives_a_movie() {
    for (frames, size, crop) in [(0, 16, 8), (1, 1, 1), (3, 40, 64), (5, 33, 17)] {
        let movie = Movie::new(frames, size, crop, 1);
        assert_eq!(movie.frame(0).dim(), (size, size));
        assert_eq!(movie.beats().len(), 4);
    }
    assert!(Movie::new(1, 0, 0, 1).png(0).is_err());
}
