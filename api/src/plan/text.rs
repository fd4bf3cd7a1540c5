//! The plan as people read it: the same job gives the same text.

use super::{Memory, Plan};
use crate::geometry::human_bytes;
use crate::job::Kept;
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.frames as u64 * self.frame.bytes() as u64;
        writeln!(f, "frames     {} × {} ({})", self.frames, self.frame, human_bytes(total))?;
        if self.stack != self.frame {
            let bytes = self.frames as u64 * self.stack.bytes() as u64;
            writeln!(f, "recenter   to {} ({})", self.stack, human_bytes(bytes))?;
        }
        writeln!(f, "servers    {} with {} compute thread{} each", self.servers, self.threads, if self.threads == 1 { "" } else { "s" })?;
        writeln!(f, "slabs      {} of {} frames", self.slabs(), self.slab_frames)?;
        if self.decoded_frames > self.frames as u64 {
            let times = self.decoded_frames as f64 / self.frames as f64;
            writeln!(
                f,
                "load       in groups of {} frames, which decodes the array's chunks {times:.1} times over",
                self.pace.group.min(self.frames)
            )?;
        }
        if self.exchanges {
            writeln!(
                f,
                "bands      {} of {} pixels × {} frames, {} in flight{}",
                self.bands(),
                self.band_pixels,
                self.frames,
                self.window,
                if self.overlap { ", pulled while frames load" } else { "" }
            )?;
            writeln!(f, "wire       {} between servers", human_bytes(self.wire_bytes()))?;
        }
        if let Some(fft) = &self.fft {
            let stored = self.stack.pixels() as u64 * self.spectrum_bytes() as u64;
            writeln!(
                f,
                "fft        {} pixels, {} bins of {:?} stored ({}), window {:?}, detrend {:?}",
                self.stack.pixels(),
                self.bins,
                fft.output,
                human_bytes(stored),
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
        writeln!(f, "keep       {}", if kept.is_empty() { "sums only".to_owned() } else { kept.join(", ") })?;
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
                self.slabs_of(id).len(),
                self.bands_of(id).len(),
                human_bytes(memory.peak()),
                human_bytes(memory.disk())
            )?;
        }
        Ok(())
    }
}
