//! The command line: clap types only.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::config;
use crate::quality::Limits;
use crate::source::Selector;

const EXAMPLES: &str = "\
Examples:
  celebcam identify party.jpg                     who is in a photo
  celebcam identify photos/ --annotate out/       a folder, with names drawn on copies
  celebcam identify photos/ --format json         one JSON line per face
  celebcam enroll \"Roger Federer\" photos/          add a person from photos
  celebcam cameras                                which cameras there are
  celebcam run                                    watch the first camera
  celebcam run --command \"rpicam-vid -t 0 --codec mjpeg -o -\"
                                                  watch a CSI camera of a Raspberry Pi

Exit codes: 0 done or stopped by a signal, 1 failure, 2 wrong usage, 66 an input is missing or
unreadable, 69 no camera, 78 bad configuration or model.";

const RUN_EXAMPLES: &str = "\
Examples:
  celebcam run                                    the first camera
  celebcam run --camera C920 --format json        a camera by its name, JSON lines
  celebcam run --command \"rpicam-vid -t 0 --codec mjpeg -o -\"
                                                  a CSI camera of a Raspberry Pi
  celebcam run --pictures photos/ --fps 5         a folder, five photos a second
  celebcam run --on-event /usr/local/bin/greet    a program for each event, which is on its
                                                  standard input as a JSON line
  celebcam run --on-event 'sh -c \"echo $CELEBCAM_EVENT $CELEBCAM_NAME >> visits.txt\"'
                                                  the same with a shell
  celebcam run --snapshot faces/ --snapshot-limit 1G
                                                  a picture of everybody who comes
  ffmpeg -i film.mp4 -f mjpeg -q:v 3 - | celebcam run --stdin --recording
                                                  every frame of a film

Without --recording, frames that come while one is being worked on are dropped.";

const ENROLL_EXAMPLES: &str = "\
Examples:
  celebcam enroll \"Roger Federer\" photos/          from photos of nobody else; 5 or more
  celebcam enroll \"Roger Federer\" new.jpg --add    more photos of somebody who was added
  celebcam enroll \"Roger Federer\" --from-camera    look into the camera and turn your head

No pictures are kept. A running `celebcam run` knows the person within two seconds.";

const PEOPLE_EXAMPLES: &str = "\
Examples:
  celebcam people                                 who was added
  celebcam people rename \"R. Federer\" \"Roger Federer\"
  celebcam people remove \"Roger Federer\"";

const BENCH_EXAMPLES: &str = "\
Examples:
  celebcam bench                                  the built-in models, one core
  celebcam bench --layers                         where the time goes
  celebcam bench mine.onnx --threads 4            another model, four cores
  celebcam bench --photo party.jpg                from a photo to the names
  celebcam bench --gallery 100000                 the search among people who were added
  CELEBCAM_ISA=avx2 celebcam bench                with the kernels of a lesser processor";

/// Says which celebrity stands in front of the camera, offline.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// Say more on standard error; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing but errors on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say who is in photos
    Identify(IdentifyArgs),
    /// Watch a camera and say who comes and goes
    Run(RunArgs),
    /// Add a person, from photos or from the camera
    Enroll(EnrollArgs),
    /// List, rename and remove the people that were added
    People(PeopleArgs),
    /// Cut aligned 112x112 faces out of photos, for training
    Crop(CropArgs),
    /// List the cameras and their formats
    Cameras(CamerasArgs),
    /// Show what is inside a model file: people, thresholds, metrics, licence
    Model(ModelArgs),
    /// Measure how fast this machine runs the models
    Bench(BenchArgs),
}

/// Which models to use.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Models")]
pub struct ModelFiles {
    /// Recognizer to use in place of the built-in one (ONNX, made by the trainer)
    #[arg(long, env = "CELEBCAM_MODEL", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub model: Option<PathBuf>,
    /// Face detector to use in place of the built-in one (ONNX)
    #[arg(long, env = "CELEBCAM_DETECTOR", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub detector: Option<PathBuf>,
}

/// Where the people are that were added.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Models")]
pub struct GalleryArgs {
    /// File of the people that were added with `celebcam enroll` [default: celebcam/gallery in the
    /// user's folder for data, or `gallery` in the folder of the service]
    #[arg(long, env = "CELEBCAM_GALLERY", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub gallery: Option<PathBuf>,
}

/// When a face is given a name.
#[derive(Debug, Clone, Default, Args)]
pub struct DecisionArgs {
    /// Confidence from which a face is named, 0 to 1; the model's own if not given
    #[arg(long, env = "CELEBCAM_THRESHOLD", value_name = "CONFIDENCE", value_parser = share)]
    pub threshold: Option<f32>,
    /// Largest share of strangers' faces to be given a name, such as 0.001; sets the threshold by
    /// the model's own curve
    #[arg(long, env = "CELEBCAM_MAX_FALSE_ACCEPTS", value_name = "SHARE", value_parser = share, conflicts_with = "threshold")]
    pub max_false_accepts: Option<f32>,
    /// Recognize also faces that are too small, too blurred, too dark or seen from the side
    #[arg(long)]
    pub any_quality: bool,
    /// Candidates to show of each face
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub top_k: Option<u16>,
}

impl DecisionArgs {
    /// Candidates to keep of each face.
    pub fn top_k(&self) -> usize {
        self.top_k.map_or(config::TOP_K, usize::from)
    }

    /// From where on a face shows enough to be recognized.
    pub fn limits(&self) -> Limits {
        if self.any_quality { Limits::NONE } else { config::QUALITY }
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// Arguments of `identify`.
#[derive(Debug, Args)]
pub struct IdentifyArgs {
    /// Photos (JPEG, PNG, WebP, BMP), and folders of photos
    #[arg(required = true, value_name = "PHOTO|DIR", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// The pictures are aligned faces already, as `celebcam crop` writes them
    #[arg(long, conflicts_with = "annotate")]
    pub crops: bool,
    /// Write copies of the photos with boxes and names into this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub annotate: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub decision: DecisionArgs,
    /// Photos to work on at the same time; the number of processor cores if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub models: ModelFiles,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub gallery: GalleryArgs,
}

/// Arguments of `enroll`.
#[derive(Debug, Args)]
#[command(after_help = ENROLL_EXAMPLES)]
pub struct EnrollArgs {
    /// Name of the person
    pub name: String,
    /// Photos that show this person alone, and folders of them
    #[arg(required_unless_present = "from_camera", value_name = "PHOTO|DIR", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,
    /// Add the pictures to somebody who was added before
    #[arg(long)]
    pub add: bool,
    /// Of several faces in a photo, take the largest
    #[arg(long)]
    pub largest: bool,
    /// Leave out photos that cannot be used, instead of refusing all of them
    #[arg(long)]
    pub skip: bool,
    /// Add also a face that looks like somebody else's, and pictures that do not look alike
    #[arg(long)]
    pub force: bool,
    /// Take frames of a camera or another source, and say how to move
    #[arg(long, conflicts_with_all = ["inputs", "largest", "skip"])]
    pub from_camera: bool,
    /// Good frames to take from the camera
    #[arg(long, value_name = "N", default_value_t = config::ENROLL_FRAMES, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub frames: u16,
    /// Longest time to take them
    #[arg(long, value_name = "SECONDS", default_value_t = config::ENROLL_TIMEOUT_S)]
    pub timeout: f32,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub source: SourceArgs,
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
    pub change: Option<PeopleChange>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub gallery: GalleryArgs,
}

/// Changes of the people that were added.
#[derive(Debug, Subcommand)]
pub enum PeopleChange {
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

/// Arguments of `crop`.
#[derive(Debug, Args)]
pub struct CropArgs {
    /// Photos (JPEG, PNG, WebP, BMP), and folders of photos
    #[arg(required = true, value_name = "PHOTO|DIR", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,
    /// Folder for the crops; folders below an input folder are kept
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Cut out every face, not only the largest of each photo
    #[arg(long)]
    pub all: bool,
    /// Face detector to use in place of the built-in one (ONNX)
    #[arg(long, env = "CELEBCAM_DETECTOR", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub detector: Option<PathBuf>,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Frames out of the last five in which a person has to be recognized to have come
    #[arg(long, value_name = "FRAMES", default_value_t = config::CONFIRM_FRAMES)]
    pub confirm: u32,
    /// Seconds for which a person must not be seen to have gone
    #[arg(long, value_name = "SECONDS", default_value_t = config::ABSENCE_S)]
    pub absence: f32,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub decision: DecisionArgs,
    /// Processor cores to use for one picture
    #[arg(long, env = "CELEBCAM_THREADS", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub reactions: ReactionArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub source: SourceArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub models: ModelFiles,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub gallery: GalleryArgs,
}

/// What is done with events besides printing them.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Reactions")]
pub struct ReactionArgs {
    /// Program to run for each event. It gets the event as a JSON line on its standard input, and
    /// as CELEBCAM_EVENT, CELEBCAM_NAME, CELEBCAM_ID, CELEBCAM_CONFIDENCE and CELEBCAM_TRACK in
    /// its environment. No shell runs it
    #[arg(long, env = "CELEBCAM_ON_EVENT", value_name = "PROGRAM ARGS")]
    pub on_event: Option<String>,
    /// Seconds after which such a program is stopped, with everything it started
    #[arg(long, value_name = "SECONDS", default_value_t = config::ON_EVENT_TIMEOUT_S, value_parser = time_limit, requires = "on_event")]
    pub on_event_timeout: f32,
    /// Write a JPEG with box and name into this folder when a person comes
    #[arg(long, env = "CELEBCAM_SNAPSHOT", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub snapshot: Option<PathBuf>,
    /// Bytes these pictures may take, such as 500K, 20M or 1G; the oldest are removed first
    #[arg(long, value_name = "SIZE", default_value = config::SNAPSHOT_LIMIT, value_parser = bytes, requires = "snapshot")]
    pub snapshot_limit: u64,
}

/// Where the pictures come from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    /// Camera: its number, its path (also one in /dev/v4l/by-id), or a part of its name; the
    /// first one if no source is given
    #[arg(long, env = "CELEBCAM_CAMERA", value_name = "CAMERA")]
    pub camera: Option<Selector>,
    /// Program that writes MJPEG to its standard output; it is started again when it ends
    #[arg(long, value_name = "PROGRAM ARGS", conflicts_with_all = ["stdin", "pictures"])]
    pub command: Option<String>,
    /// Read MJPEG from standard input
    #[arg(long, conflicts_with = "pictures")]
    pub stdin: bool,
    /// Photos, and folders of photos, as if they were frames; every one is worked on
    #[arg(long, num_args = 1.., value_name = "PHOTO|DIR", value_hint = ValueHint::AnyPath)]
    pub pictures: Vec<PathBuf>,
    /// The MJPEG is a recording: work on every frame, not on the newest only, and end with it
    #[arg(long)]
    pub recording: bool,
    /// Start with the first picture again after the last
    #[arg(long, requires = "pictures")]
    pub repeat: bool,
    /// Frames a second: of pictures (as many as can be worked on if not given), or to ask of a
    /// camera
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub fps: Option<f32>,
    /// Width in pixels to ask of a camera
    #[arg(long, value_name = "PIXELS", requires = "height")]
    pub width: Option<u32>,
    /// Height in pixels to ask of a camera
    #[arg(long, value_name = "PIXELS", requires = "width")]
    pub height: Option<u32>,
}

/// Arguments of `cameras`.
#[derive(Debug, Args)]
pub struct CamerasArgs {}

/// Arguments of `model`.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// Model file; the built-in models if not given
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
#[command(after_help = BENCH_EXAMPLES)]
pub struct BenchArgs {
    /// Model file; the built-in models if not given
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Measure the way from this photo to the names instead of single models
    #[arg(long, value_name = "PHOTO", conflicts_with_all = ["file", "layers"], value_hint = ValueHint::FilePath)]
    pub photo: Option<PathBuf>,
    /// Processor cores to use for one picture
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,
    /// Measure the search for a face among this many people of a made-up gallery
    #[arg(long, value_name = "PEOPLE", conflicts_with_all = ["file", "photo", "layers"], value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub gallery: Option<u32>,
    /// Runs to measure
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub runs: u32,
    /// Runs before those that are measured
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub warmup: u32,
    /// Show the time of each layer
    #[arg(long)]
    pub layers: bool,
    /// Leave out what this machine reaches at best, which takes a moment to measure
    #[arg(long)]
    pub no_peak: bool,
    /// Add the time of every run to the JSON
    #[arg(long)]
    pub samples: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

fn rate(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.01..=1000.0).contains(&value) => Ok(value),
        _ => Err("a number from 0.01 to 1000 is needed, such as 5".to_owned()),
    }
}

fn time_limit(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.1..=3600.0).contains(&value) => Ok(value),
        _ => Err("a number of seconds from 0.1 to 3600 is needed, such as 10".to_owned()),
    }
}

/// A number of bytes, with K, M or G for 1000, 1000^2 or 1000^3 of them.
fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.find(|character: char| !character.is_ascii_digit()) {
        Some(end) => text.split_at(end),
        None => (text, ""),
    };
    let factor: u64 = match unit {
        "" => 1,
        "K" | "k" => 1_000,
        "M" | "m" => 1_000_000,
        "G" | "g" => 1_000_000_000,
        _ => 0,
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(bytes @ 1..) => Ok(bytes),
        _ => Err("a number of bytes above 0 is needed, such as 500K, 20M or 1G".to_owned()),
    }
}

fn share(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to 1 is needed, such as 0.8".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_bytes_with_units() {
        let cases = [("1", 1), ("500K", 500_000), ("20M", 20_000_000), ("1g", 1_000_000_000)];
        for (text, expected) in cases {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "M", "0", "0K", "-1", "1.5M", "1 M", "20MB", "99999999999G", "1é"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert!(bytes(config::SNAPSHOT_LIMIT).is_ok());
    }

    #[test]
    fn a_threshold_is_a_share() {
        assert_eq!(share("0.25"), Ok(0.25));
        for text in ["1.5", "-0.1", "NaN", "high"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
