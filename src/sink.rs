//! Where events go.

mod json;
mod text;

use std::io::{self, Write};

use crate::event::Event;

pub use json::JsonSink;
pub use text::TextSink;

/// Takes events, one at a time; each is out when `emit` returns.
pub trait EventSink {
    /// Takes one event.
    ///
    /// # Errors
    /// What the system says when it cannot be written;
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) when nobody reads any more.
    fn emit(&mut self, event: &Event) -> io::Result<()>;
}

fn write_line(out: &mut dyn Write, line: &str) -> io::Result<()> {
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}
