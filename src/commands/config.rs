//! `celebcam config`: the settings of `run` and where each comes from.

use std::io::{self, Write};

use crate::exit::Exit;
use crate::settings::{Origin, Setting, ValueKind};
use crate::shown::{masked, write_line};

/// Column behind which the origins stand.
const ORIGIN_COLUMN: usize = 35;

/// Prints the settings as a settings file; secrets are masked.
///
/// # Errors
///
/// An output that cannot be written.
pub fn execute(settings: &[Setting]) -> anyhow::Result<Exit> {
    let mut out = io::stdout().lock();
    let lines: Vec<String> = settings.iter().map(line).collect();
    if settings.iter().any(holds_secret) {
        write_line(&mut out, "# *** stands for a secret; write it in its place.")?;
    }
    for line in lines {
        write_line(&mut out, line)?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// A line of a settings file; what nobody has set is a comment there, and so is what holds secrets,
/// which are masked.
fn line(setting: &Setting) -> String {
    let key = &setting.key;
    if setting.values.is_empty() {
        return format!("{:ORIGIN_COLUMN$} # not set", format!("# {key} ="));
    }
    let assignment = format!("{key} = {}", value(setting));
    let is_comment = setting.origin == Origin::Default || holds_secret(setting);
    let mark = if is_comment { "# " } else { "" };
    format!("{:ORIGIN_COLUMN$} # {}", format!("{mark}{assignment}"), setting.origin)
}

fn holds_secret(setting: &Setting) -> bool {
    setting.values.iter().any(|value| masked(value) != *value)
}

fn value(setting: &Setting) -> String {
    let quoted = |value: &String| toml::Value::from(masked(value)).to_string();
    match setting.kind {
        ValueKind::Number if setting.values.concat().parse::<f64>().is_err() => {
            quoted(&setting.values.concat())
        }
        ValueKind::Flag | ValueKind::Number => setting.values.concat(),
        ValueKind::Text => quoted(&setting.values.concat()),
        ValueKind::List => {
            format!("[{}]", setting.values.iter().map(quoted).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_the_line_is_no_setting_any_more() {
        let setting = |value: &str| Setting {
            key: "camera".to_owned(),
            help: String::new(),
            kind: ValueKind::Text,
            values: vec![value.to_owned()],
            origin: Origin::Flag,
        };
        assert!(line(&setting("C920")).starts_with("camera = \"C920\" "));
        let secret = line(&setting("rtsp://ann:1234@10.0.0.5/live"));
        assert!(secret.starts_with("# camera = \"rtsp://***@10.0.0.5/live\" "), "{secret}");
    }
}
