//! Frames in blocks: written in any order by several threads, and read back in every form.

use super::*;
use crate::direct::ALIGNMENT;

/// 23 frames of 1,000 bytes in bands of 300, the last of 100, and blocks of 5 frames, the last of 3.
const LAYOUT: BlockLayout = BlockLayout { frames: 23, frame_bytes: 1000, row_bytes: 300, at_once: 5 };

fn frame(frame: usize) -> Vec<u8> {
    (0..LAYOUT.frame_bytes).map(|at| (frame * 91 + at * 7 + at / 251) as u8).collect()
}

/// All frames, put by two threads in another order than they are admitted.
async fn filled(buffers: usize) -> Result<Blocks, Error> {
    let folder = tempfile::tempdir().map_err(Error::Write)?;
    let blocks = Blocks::new(LAYOUT, buffers, folder.path())?;
    let files = std::fs::read_dir(folder.path()).map_err(Error::Read)?;
    assert_eq!(files.count(), 0, "the file has no name and leaves nothing behind");
    for frames in [0..7, 7..14, 14..21, 21..23] {
        blocks.admit(frames.clone()).await;
        std::thread::scope(|scope| {
            for first in 0..2 {
                let (blocks, frames) = (&blocks, frames.clone());
                scope.spawn(move || frames.rev().skip(first).step_by(2).try_for_each(|number| blocks.put(number, &frame(number))));
            }
        });
    }
    let mut ready = 0;
    while ready < LAYOUT.frames {
        ready = blocks.until_more(ready).await?;
    }
    Ok(blocks)
}

#[tokio::test]
async fn every_range_of_frames_and_bytes_is_what_was_written() {
    let blocks = filled(3).await.unwrap();
    for frames in [0..23, 0..1, 22..23, 4..6, 3..17, 9..9] {
        for bytes in [0..1000, 0..1, 999..1000, 299..301, 250..950, 5..5] {
            let mut found = vec![0; frames.len() * bytes.len()];
            blocks.read_frames(frames.clone(), &bytes, &mut found).unwrap();
            let expected: Vec<u8> = frames.clone().flat_map(|number| frame(number)[bytes.clone()].to_vec()).collect();
            assert!(found == expected, "{frames:?} {bytes:?}");
        }
    }
}

#[tokio::test]
async fn a_band_of_all_frames_is_read_block_by_block() {
    let blocks = filled(4).await.unwrap();
    let mut buffer = ReadBuffer::new(blocks.band_buffer_bytes()).unwrap();
    for band in 0..LAYOUT.bands() {
        let row = LAYOUT.row(band);
        let mut number = 0;
        for (at, frames) in blocks.read_band(band, &mut buffer).unwrap() {
            for found in buffer.as_slice()[at..][..frames * row.len()].chunks_exact(row.len()) {
                assert_eq!(found, &frame(number)[row.clone()], "frame {number}, band {band}");
                number += 1;
            }
        }
        assert_eq!(number, LAYOUT.frames);
    }
}

#[tokio::test]
async fn a_block_waits_for_a_buffer_until_an_earlier_block_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = Arc::new(Blocks::new(LAYOUT, 2, folder.path()).unwrap());
    blocks.admit(0..10).await;
    let waiting = tokio::spawn({
        let blocks = Arc::clone(&blocks);
        async move { blocks.admit(10..12).await }
    });
    (0..4).chain(5..9).for_each(|number| blocks.put(number, &frame(number)).unwrap());
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "both buffers wait for a frame");
    assert!(matches!(blocks.put(10, &frame(10)), Err(Error::FrameRefused { frame: 10 })), "a frame without a buffer");
    blocks.put(4, &frame(4)).unwrap();
    waiting.await.unwrap();
    blocks.put(10, &frame(10)).unwrap();
    assert!(matches!(blocks.put(10, &frame(10)), Err(Error::FrameRefused { frame: 10 })), "a frame is written once");
    assert!(matches!(blocks.put(4, &frame(4)), Err(Error::FrameRefused { frame: 4 })), "a written block is closed");
    assert_eq!(blocks.until_more(0).await.unwrap(), 5, "the frames of a block become ready together");
    assert!(blocks.shared().states.all_ready(&(0..5)));
}

#[tokio::test]
async fn a_failed_write_fails_those_who_wait_and_all_later_frames() {
    let blocks = Blocks::new(LAYOUT, 2, tempfile::tempdir().unwrap().path()).unwrap();
    blocks.admit(0..2).await;
    blocks.put(0, &frame(0)).unwrap();
    blocks.shared.fail(std::io::Error::from_raw_os_error(5));
    assert!(matches!(blocks.until_more(0).await, Err(Error::Write(error)) if error.raw_os_error() == Some(5)));
    assert!(matches!(blocks.put(1, &frame(1)), Err(Error::Write(_))));
}

#[test]
fn a_file_has_whole_sectors_and_no_padding_within_blocks() {
    assert_eq!((LAYOUT.bands(), LAYOUT.blocks()), (4, 5));
    // The last block has three frames.
    assert_eq!((LAYOUT.block_bytes(), LAYOUT.file_bytes()), (2 * ALIGNMENT, 9 * ALIGNMENT));
    assert_eq!(LAYOUT.rows_in_block(&(21..23), 2), 3 * 600 + 300..3 * 600 + 900);
    assert_eq!(LAYOUT.rows_in_block(&(5..10), 3), 4500..5000);
    assert_eq!(LAYOUT.rows_in_block(&(6..8), 1), 1500 + 300..1500 + 900);
}
