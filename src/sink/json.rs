//! Events as JSON lines.

use std::io;

use crate::event::Event;
use crate::shown;

/// One JSON object on one line, without its end.
///
/// # Errors
/// For an event that JSON cannot hold, of which there is none.
pub fn line(event: &Event) -> io::Result<String> {
    Ok(shown::json(&serde_json::to_string(event)?).into_owned())
}
