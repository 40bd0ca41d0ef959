//! The arguments of `enroll` and `people`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{Format, GalleryArgs, ModelFiles, RuleArgs, SourceArgs, not_settings};
use crate::defaults;

const ENROLL_EXAMPLES: &str = "\
Examples:
  celebcam enroll \"Roger Federer\" photos/          from a folder of photos; 5 or more
  celebcam enroll \"Roger Federer\" new.jpg --add    more photos of somebody who was added
  celebcam enroll \"Roger Federer\" --from-camera    look into the camera and turn your head

Others may be in the photos: the person is whoever is in most of them. Photos that show nobody, somebody
else, or several people of whom none clearly is the person, are left out and named.

At the end it says how alike the photos are, which fits least, who of those already known is nearest, and
what share of further pictures will be named.

No pictures are kept. A running `celebcam run` knows the person within two seconds.";

const PEOPLE_EXAMPLES: &str = "\
Examples:
  celebcam people                                 who was added
  celebcam people rename \"R. Federer\" \"Roger Federer\"
  celebcam people remove \"Roger Federer\"";

/// Arguments of `enroll`.
#[derive(Debug, Args)]
#[command(after_help = ENROLL_EXAMPLES, mut_args(not_settings(&["stdin", "pictures", "recording", "repeat"])))]
pub struct EnrollArgs {
    /// Name of the person
    pub name: String,
    /// Photos that show this person, and folders of them
    #[arg(required_unless_present = "from_camera", value_name = "PHOTO|DIR", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,
    /// Add the pictures to somebody who was added before
    #[arg(long)]
    pub add: bool,
    /// Of several faces in a photo, take the largest, not the one that fits the other photos
    #[arg(long)]
    pub largest: bool,
    /// Take what can be used also where that is less than half of the photos, or a photo named here
    /// cannot be read
    #[arg(long)]
    pub skip: bool,
    /// Add also a face that looks like somebody else's, and pictures that do not look alike
    #[arg(long)]
    pub force: bool,
    /// Take frames of a camera or another source, and say how to move
    #[arg(long, conflicts_with_all = ["inputs", "largest", "skip"])]
    pub from_camera: bool,
    /// Good frames to take from the camera
    #[arg(long, value_name = "N", default_value_t = defaults::ENROLL_FRAMES, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub frames: u16,
    /// Longest time to take them
    #[arg(long, value_name = "SECONDS", default_value_t = defaults::ENROLL_TIMEOUT_S)]
    pub timeout: f32,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub source: SourceArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub rule: RuleArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub models: ModelFiles,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub gallery: GalleryArgs,
}

/// Arguments of `people`.
#[derive(Debug, Args)]
#[command(after_help = PEOPLE_EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct PeopleArgs {
    /// What to do; lists the people if not given.
    #[command(subcommand)]
    pub command: Option<PeopleCommand>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub rule: RuleArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub models: ModelFiles,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub gallery: GalleryArgs,
}

/// Changes of the people that were added.
#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// Give a person another name
    Rename {
        /// Name or id
        old: String,
        /// The new name
        new: String,
        #[command(flatten)]
        #[allow(missing_docs, reason = "the doc comment would become help text")]
        models: ModelFiles,
        #[command(flatten)]
        #[allow(missing_docs, reason = "the doc comment would become help text")]
        gallery: GalleryArgs,
    },
    /// Remove people
    Remove {
        /// Names or ids
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "the doc comment would become help text")]
        models: ModelFiles,
        #[command(flatten)]
        #[allow(missing_docs, reason = "the doc comment would become help text")]
        gallery: GalleryArgs,
    },
}
