//! What to expect of a person who was added: how alike the pictures are, who is nearest, and how sure
//! a name will be.

use super::{Added, Taken};
use crate::commands::print;
use crate::enroll::Shot;
use crate::enroll::fit::{Fit, all_frontal};
use crate::error::Result;
use crate::recognize::{Recognizer, Rule};
use crate::shown::count;
use crate::types::identity::Candidate;

/// Shares of further pictures named from which on a name is sure, and mostly right.
const SURE: f32 = 0.95;
const MOSTLY: f32 = 0.8;

/// The largest share that a few pictures can promise.
const MOST_PROMISED: f32 = 0.99;

/// Prints it. Pictures of somebody who is not new are compared with those of before.
///
/// # Errors
/// [`Error::Output`](crate::error::Error::Output) when standard output takes no more.
pub fn print_all(
    added: &Added,
    is_new: bool,
    taken: &[Taken],
    recognizer: &Recognizer,
) -> Result<()> {
    let to = if is_new { "the others" } else { "those of before" };
    let rule = recognizer.rule(&added.gallery);
    let enrolled = recognizer.decision().enrolled;
    let cosine_of = |similarity: f32| {
        enrolled.map_or(similarity, |enrolled| (similarity - enrolled.offset) / enrolled.scale)
    };
    let named_from = cosine_of(needed(&rule, added.nearest.as_ref()));
    match &added.fit {
        Some(fit) => print_fit(fit, taken, to, named_from, &added.name)?,
        None => print(
            "  one picture does not tell how sure a name will be; add more with --add, 5 are better",
        )?,
    }
    if let Some(nearest) = &added.nearest {
        let words = nearest_in_words(nearest, cosine_of(nearest.similarity), named_from, &rule);
        print(format_args!("  {words}"))?;
    }
    if let Some(fit) = &added.fit {
        let words = sureness_in_words(fit.share_from(named_from), rule.people);
        print(format_args!("  {words}"))?;
    }
    let shots: Vec<Shot> = taken.iter().map(|taken| taken.shot.clone()).collect();
    if is_new && all_frontal(&shots) == Some(true) {
        print(format_args!(
            "  all of these show the face from the front: seen from the side it will often be \
             missed; add pictures that show it so: celebcam enroll {:?} side.jpg --add",
            added.name
        ))?;
    }
    Ok(())
}

/// The similarity from which on a face is named, with the lead over who is nearest.
fn needed(rule: &Rule, nearest: Option<&Candidate>) -> f32 {
    let lead = nearest.map_or(f32::NEG_INFINITY, |nearest| nearest.similarity + rule.margin);
    rule.similarity.max(lead)
}

fn print_fit(fit: &Fit, taken: &[Taken], to: &str, named_from: f32, name: &str) -> Result<()> {
    let least = fit.cosines.iter().copied().fold(f32::INFINITY, f32::min);
    print(format_args!(
        "  likeness of {} to {to}: {:.2} on average, {least:.2} at least (a name takes \
         {named_from:.2})",
        count(taken.len(), "picture", "pictures"),
        fit.average(),
    ))?;
    if let Some(misfit) = fit.misfit(named_from) {
        print(format_args!(
            "  {} fits least ({:.2}): see whether that is {name}, and seen well",
            taken[misfit].place, fit.cosines[misfit]
        ))?;
    }
    Ok(())
}

fn nearest_in_words(nearest: &Candidate, likeness: f32, named_from: f32, rule: &Rule) -> String {
    let name = &nearest.label.name;
    let near = if nearest.similarity >= rule.similarity {
        format!(
            "so near that the two will be taken for one another; remove one of them ({name} \
                 may be the same person)"
        )
    } else if likeness > named_from - 0.1 {
        "near: now and then the two may be taken for one another".to_owned()
    } else {
        "far enough".to_owned()
    };
    format!("nearest of the others who are known: {name}, likeness {likeness:.2}: {near}")
}

/// What share of further pictures will be named, and a word for it.
fn sureness_in_words(share: f32, people: usize) -> String {
    let word = if share >= SURE {
        "sure"
    } else if share >= MOSTLY {
        "mostly"
    } else {
        "doubtful: more pictures, sharper and lighter ones help"
    };
    format!(
        "among {}, about {:.0} % of further pictures like these will be named: {word}",
        count(people, "person", "people"),
        share.min(MOST_PROMISED) * 100.0
    )
}
