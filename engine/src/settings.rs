//! How models are run: kernels, threads, and the way to stop.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::isa::Isa;
use crate::kernels::{Kernels, peak};

/// How models are run.
///
/// They never hold kernels that this processor cannot run.
#[derive(Clone)]
pub struct Settings {
    kernels: &'static Kernels,
    threads: usize,
    stop: Arc<AtomicBool>,
}

impl Settings {
    /// The best kernels of this processor, on `threads` threads for one picture, at least one.
    pub fn new(threads: usize) -> Self {
        Self { kernels: Kernels::best(), threads: threads.max(1), stop: Arc::default() }
    }

    /// The kernels of the instruction set called `name`, see [`Isa::name`], in place of the best.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownIsa`] when this processor has no kernels of that name.
    pub fn with_isa(self, name: &str) -> Result<Self> {
        let mut all = Isa::available().filter_map(Kernels::of);
        let kernels = all.find(|kernels| kernels.isa().name() == name);
        let kernels = kernels.ok_or_else(|| Error::UnknownIsa {
            name: name.to_owned(),
            available: Isa::available().collect(),
        })?;
        Ok(Self { kernels, ..self })
    }

    /// Ends the work on a picture early, with [`Error::Stopped`], once `stop` is true.
    #[must_use]
    pub fn with_stop(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    /// The instruction set of the kernels.
    pub fn isa(&self) -> Isa {
        self.kernels.isa()
    }

    /// Threads for one picture.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The flag that ends the work on a picture early.
    pub fn stop(&self) -> &Arc<AtomicBool> {
        &self.stop
    }

    /// Name of the kernel that searches a [`Similarity`](crate::Similarity).
    pub fn search_kernel(&self) -> &'static str {
        self.kernels.dot_name()
    }

    /// Multiplications a second that the kernels reach on one thread where inputs and weights stay in the
    /// first-level cache, the best of what is measured in `time`.
    pub fn peak_macs_per_s(&self, time: Duration) -> f64 {
        peak::macs_per_s(self.kernels, time)
    }

    pub(crate) fn kernels(&self) -> &'static Kernels {
        self.kernels
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Settings")
            .field("isa", &self.isa())
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_can_be_lowered_and_never_raised() {
        let best = Settings::new(1);
        assert_eq!(Some(best.isa()), Isa::available().last());
        assert_eq!(best.threads(), Settings::new(0).threads());
        for isa in Isa::ALL {
            let chosen = best.clone().with_isa(isa.name());
            assert_eq!(chosen.is_ok(), isa.is_available());
            assert!(chosen.is_err() || chosen.is_ok_and(|settings| settings.isa() == isa));
        }
        let refusal = best.with_isa("quantum").expect_err("no such thing").to_string();
        assert!(refusal.starts_with("this processor has no quantum; it has scalar"), "{refusal}");
    }
}
