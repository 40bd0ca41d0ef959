//! `celebcam people`: lists, renames and removes the people that were added.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::json;

use super::say;
use crate::cli::Format;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::gallery::{self, Gallery, Person, names, store};
use crate::models;
use crate::recognize::{Recognizer, Rule};
use crate::settings::{PeopleChange, PeopleConfig};
use crate::shown::{self, count};
use crate::stages::RecognizerSpec;
use crate::types::identity::Label;

/// Version of the JSON lines.
const SCHEMA: u32 = 1;

/// Lists the people and says from when on they are named, or changes who they are.
///
/// # Errors
///
/// A bad gallery or model, a name that nobody has, a new name that somebody has, or a gallery that cannot be
/// written.
pub fn execute(config: &PeopleConfig) -> anyhow::Result<Exit> {
    match &config.change {
        PeopleChange::List(format) => list(config, *format)?,
        PeopleChange::Rename { old, new } => rename(old, new, config)?,
        PeopleChange::Remove(names) => remove(names, config)?,
    }
    Ok(Exit::Done)
}

fn list(config: &PeopleConfig, format: Format) -> anyhow::Result<()> {
    let path = &config.gallery;
    let gallery = store::read(path)?;
    let people = gallery.as_ref().map_or(&[][..], Gallery::people);
    let recognizer = config.recognizer.load(&models::settings(1)?)?;
    let rule = rule_in_force(&recognizer, gallery.as_ref());
    print(people, rule.as_ref(), format)?;
    say(format_args!("{} in {}", count(people.len(), "person", "people"), path.display()));
    let own = count(recognizer.labels().len(), "person", "people");
    match rule {
        Some(rule) => say(format_args!("with {own} of the model, {rule}")),
        None => log::warn!(
            "they were added to another model than {}, which does not know them; --model names \
             theirs",
            recognizer.model().origin()
        ),
    }
    Ok(())
}

/// From when on faces are named with these people; `None` where they are another model's.
fn rule_in_force(recognizer: &Recognizer, gallery: Option<&Gallery>) -> Option<Rule> {
    let Some(gallery) = gallery.filter(|gallery| !gallery.people().is_empty()) else {
        return Some(recognizer.rule_among(recognizer.labels().len()));
    };
    (gallery.model() == recognizer.model().fingerprint()).then(|| recognizer.rule(gallery))
}

/// Writes a line for each of the people.
fn print(people: &[Person], rule: Option<&Rule>, format: Format) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let width = |person: &Person| shown::line(&person.name).chars().count();
    let width = people.iter().map(width).max().unwrap_or(0);
    for person in people {
        let added = jiff::Timestamp::from_second(person.added_unix_s)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        match format {
            Format::Text => {
                let pictures = count(person.pictures as usize, "picture", "pictures");
                let day = added.strftime("%Y-%m-%d");
                let name = shown::line(&person.name);
                writeln!(out, "{name:width$}  {pictures:>12}  {day}")?;
            }
            Format::Json => {
                let line = json!({
                    "schema": SCHEMA,
                    "name": person.name,
                    "id": names::id(&person.name),
                    "pictures": person.pictures,
                    "added": added.to_string(),
                    "rule": rule,
                });
                writeln!(out, "{}", shown::json(&line.to_string()))?;
            }
        }
    }
    out.flush()
}

/// The name as it is kept, and a word about what nobody sees in it.
///
/// # Errors
///
/// [`Error::Refused`] when it is no name.
pub fn cleaned(name: &str) -> Result<String> {
    let clean = names::clean(name);
    names::check(&clean).map_err(gallery::Error::from)?;
    if names::has_invisible(name, &clean) {
        log::warn!("the name {clean} is taken without the invisible characters in it");
    }
    Ok(clean)
}

fn rename(old: &str, new: &str, config: &PeopleConfig) -> anyhow::Result<()> {
    let new = &*cleaned(new)?;
    let own = own_people(&config.recognizer)?;
    if let Some(own) = own_person(&own, new) {
        return Err(Error::Refused(format!(
            "{} is one of the model's own people; choose another name",
            own.name
        ))
        .into());
    }
    let (before, _) = store::update(&config.gallery, existing, |gallery| {
        let person = find(gallery, old, &own)?;
        let before = gallery.people()[person].name.clone();
        gallery.rename(person, new)?;
        Ok(before)
    })?;
    super::print(format_args!("{before} is {new} now"))?;
    Ok(())
}

fn remove(wanted: &[String], config: &PeopleConfig) -> anyhow::Result<()> {
    let path = &config.gallery;
    let own = own_people(&config.recognizer)?;
    let (removed, left) = store::update(path, existing, |gallery| {
        let mut people = Vec::new();
        for name in wanted {
            let person = find(gallery, name, &own)?;
            if !people.contains(&person) {
                people.push(person);
            }
        }
        let name = |&person: &usize| gallery.people()[person].name.clone();
        let names: Vec<_> = people.iter().map(name).collect();
        gallery.remove(&people);
        Ok(names)
    })?;
    let left = count(left.people().len(), "person", "people");
    let removed = removed.join(", ");
    super::print(format_args!("{removed} removed (gallery: {left}, {})", path.display()))?;
    Ok(())
}

/// The gallery, whatever model it is for: names do not depend on it.
fn existing(path: &Path) -> Result<Gallery> {
    store::read(path)?.ok_or_else(|| {
        Error::Refused(format!("nobody has been added yet: there is no {}", path.display()))
    })
}

fn own_people(recognizer: &RecognizerSpec) -> Result<Vec<Label>> {
    Ok(recognizer.load(&models::settings(1)?)?.labels().to_vec())
}

fn own_person<'a>(own: &'a [Label], name: &str) -> Option<&'a Label> {
    own.iter().find(|own| names::is_called(&own.name, &own.id, name))
}

/// Number of the person in the gallery.
fn find(gallery: &Gallery, name: &str, own: &[Label]) -> Result<usize> {
    if let Some(person) = gallery.find(name) {
        return Ok(person);
    }
    if let Some(own) = own_person(own, name) {
        return Err(Error::Refused(format!(
            "{} is one of the model's own people, who cannot be changed; train a model to change \
             them",
            own.name
        )));
    }
    let near = names::nearest(name, gallery.people().iter().map(|person| &*person.name));
    let hint = match &near[..] {
        [] => "`celebcam people` lists who is".to_owned(),
        near => format!("did you mean {}?", near.join(" or ")),
    };
    Err(Error::Refused(format!("nobody called {name} is in the gallery; {hint}")))
}
