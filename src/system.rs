//! The process among others on its system: files, memory, time, programs, signals and the service
//! manager.

pub mod bounded;
pub mod files;
pub mod heap;
pub mod journal;
pub mod process;
pub mod service;
pub mod stop;
pub mod supervisor;
pub mod throttle;
pub mod timing;
