//! The plan as text. The same job and budget give the same text.

use super::{Memory, Partition, Plan};
use crate::geometry::human_bytes;
use crate::job::Kept;
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Partition { servers, frames, frame, stack, slab_frames, band_pixels, exchanges, chunks: _ } = self.partition;
        let total = frames as u64 * frame.bytes() as u64;
        writeln!(f, "frames     {frames} × {frame} ({})", human_bytes(total))?;
        if stack != frame {
            let bytes = frames as u64 * stack.bytes() as u64;
            writeln!(f, "recenter   to {stack} ({})", human_bytes(bytes))?;
        }
        writeln!(f, "servers    {servers} with {} compute thread{} each", self.threads, if self.threads == 1 { "" } else { "s" })?;
        writeln!(f, "slabs      {} of {slab_frames} frames", self.partition.slabs())?;
        if self.decoded_frames > frames as u64 {
            let times = self.decoded_frames as f64 / frames as f64;
            writeln!(
                f,
                "load       in groups of {} frames; each chunk of the array is decoded {times:.1} times on average",
                self.pace.group.min(frames)
            )?;
        }
        if exchanges {
            writeln!(
                f,
                "bands      {} of {band_pixels} pixels × {frames} frames, {} in flight{}",
                self.bands(),
                self.bands_in_flight,
                if self.overlap { ", pulled while frames load" } else { "" }
            )?;
            writeln!(f, "wire       {} between servers", human_bytes(self.wire_bytes()))?;
        }
        if let Some(fft) = &self.fft {
            let stored = stack.pixels() as u64 * self.spectrum_bytes() as u64;
            writeln!(
                f,
                "fft        {} pixels, {} bins of {:?} {}, window {:?}, detrend {:?}",
                stack.pixels(),
                self.bins,
                fft.output,
                if self.stores_spectra() { format!("stored ({})", human_bytes(stored)) } else { "only summed".to_owned() },
                fft.window,
                fft.detrend
            )?;
        }
        let kept: Vec<&str> = self
            .keep
            .iter()
            .map(|kept| match kept {
                Kept::Raw => "raw",
                Kept::Recentered => "recentered",
                Kept::Rechunked => "rechunked",
                Kept::Spectrum => "spectrum",
            })
            .collect();
        writeln!(f, "keep       {}", if kept.is_empty() { "reductions only".to_owned() } else { kept.join(", ") })?;
        writeln!(f, "storage    {}", self.storage)?;
        writeln!(
            f,
            "peak       {} in one server, {} in all",
            human_bytes(self.peak_bytes()),
            human_bytes(self.memory.iter().map(Memory::peak).sum())
        )?;
        writeln!(f, "\nserver       frames         slabs        bands       peak       disk")?;
        for (id, memory) in self.ids().zip(&self.memory) {
            let frames = self.frames_of(id);
            writeln!(
                f,
                "{:>6} {:>12} {:>12} {:>12} {:>10} {:>10}",
                id.0,
                format!("{}–{}", frames.start, frames.end),
                self.partition.slabs_of(id).len(),
                self.bands_of(id).len(),
                human_bytes(memory.peak()),
                human_bytes(memory.disk())
            )?;
        }
        Ok(())
    }
}
