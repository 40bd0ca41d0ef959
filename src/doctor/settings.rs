//! Who has said how many of the settings, and whether a run takes them.

use super::{Checkup, Finding};
use crate::exit::Exit;
use crate::settings::{Origin, Said};
use crate::shown::count;

pub fn check(checkup: &Checkup<'_>) -> Finding {
    let said = who_said(&checkup.config.said);
    let unknown = &checkup.config.unknown_variables;
    match &checkup.config.checked {
        Ok(()) if unknown.is_empty() => Finding::ok(said),
        Ok(()) => Finding::warning(
            format!("{said}; {}", unknown.join("; ")),
            "Rename these variables of the environment, or unset them.",
        ),
        Err(error) => Finding::failure(
            error.to_string(),
            "Put that right where it is said: `celebcam config` shows who has said what.",
            Exit::BadConfiguration,
        ),
    }
}

fn who_said(said: &Said) -> String {
    let Said { settings, file, withheld } = said;
    let said = |wanted: fn(&Origin) -> bool| {
        settings.iter().filter(|setting| wanted(&setting.origin)).count()
    };
    let mut text = match file {
        Some(path) => {
            let in_file = said(|origin| matches!(origin, Origin::File(_)));
            format!("{} of {}", count(in_file, "setting", "settings"), path.display())
        }
        None => match withheld {
            Some(path) => format!("{} is not for this user to read", path.display()),
            None => "no settings file".to_owned(),
        },
    };
    for (number, whose) in [
        (said(|origin| matches!(origin, Origin::Environment(_))), "the environment"),
        (said(|origin| *origin == Origin::Flag), "the command line"),
    ] {
        if number > 0 {
            text += &format!(", {number} of {whose}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::settings::{Setting, ValueKind};

    #[test]
    fn settings_are_counted_by_who_said_them() {
        let setting = |origin| Setting {
            key: "fps".to_owned(),
            help: String::new(),
            kind: ValueKind::Number,
            values: Vec::new(),
            origin,
        };
        let told = |file: Option<&str>, origins: Vec<Origin>| {
            let settings = origins.into_iter().map(setting).collect();
            who_said(&Said { settings, file: file.map(PathBuf::from), withheld: None })
        };
        assert_eq!(told(None, vec![Origin::Default]), "no settings file");
        let path = "/etc/c.toml";
        let said = vec![
            Origin::File(path.into()),
            Origin::Flag,
            Origin::Default,
            Origin::Environment("CELEBCAM_FPS".to_owned()),
            Origin::Flag,
        ];
        let text = "1 setting of /etc/c.toml, 1 of the environment, 2 of the command line";
        assert_eq!(told(Some(path), said), text);
    }
}
