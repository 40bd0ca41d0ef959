//! The heap where the address space of the process is limited, as by `ulimit -v` or `LimitAS=`.

#![allow(unsafe_code, reason = "one call to the C library")]

use std::sync::OnceLock;

use rustix::process::{Resource, getrlimit};

use super::{Error, Result, process};

/// With less, not even the built-in models can be loaded, in bytes.
pub(super) const LEAST_BYTES: u64 = 48_000_000;

/// Makes the heap fit the limit of the address space, where there is one. Call it before threads are
/// started.
///
/// # Errors
///
/// [`Error::AddressSpace`] when the limit is too low to run at all.
pub fn fit_limit() -> Result<()> {
    let Some(limit_bytes) = limit_bytes() else { return Ok(()) };
    if limit_bytes < LEAST_BYTES {
        return Err(Error::AddressSpace { limit_bytes });
    }
    share_one_heap();
    Ok(())
}

/// The limit of the address space, where there is one.
pub fn limit_bytes() -> Option<u64> {
    static LIMIT: OnceLock<Option<u64>> = OnceLock::new();
    *LIMIT.get_or_init(|| getrlimit(Resource::As).current)
}

/// What the limit of the address space leaves, where there is one. Who asks for more gets nothing, and
/// that ends the process.
pub fn left_bytes() -> Option<u64> {
    let limit_bytes = limit_bytes()?;
    Some(limit_bytes.saturating_sub(process::memory_bytes("VmSize").unwrap_or(0)))
}

/// glibc gives threads a heap each and reserves 128 MB of addresses for it, which is most of what a
/// limit leaves.
#[cfg(target_env = "gnu")]
fn share_one_heap() {
    use std::ffi::c_int;

    /// `M_ARENA_MAX` of glibc's malloc.h.
    const HEAPS: c_int = -8;

    // It takes numbers alone, and touches no memory of its caller.
    unsafe extern "C" {
        safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }
    if mallopt(HEAPS, 1) == 0 {
        log::debug!("the threads cannot share one heap");
    }
}

#[cfg(not(target_env = "gnu"))]
fn share_one_heap() {}
