//! The command line: clap types only.
//!
//! A flag with a variable of the environment is a setting of that subcommand. Flags of a group that is
//! not `multiple` stand for each other: one that is said nearer to the user silences the others.

use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Arg, Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::defaults;
use crate::detect::{Area, Wanted};
use crate::picture::turn::Turn;
use crate::quality::QualityLimits;

mod doctor;
mod people;
mod run;
mod values;

pub use doctor::DoctorArgs;
pub use people::{EnrollArgs, PeopleArgs, PeopleCommand};
pub use run::{ConfigArgs, NEEDS, PlaybackArgs, ReactionArgs, RunArgs, SourceArgs, SourceKindArgs};
use values::{path, rotation, share};

const EXAMPLES: &str = "\
Examples:
  celebcam identify party.jpg                     who is in a photo
  celebcam identify photos/ --annotate out/       a folder, with names drawn on copies
  celebcam identify photos/ --format json         one JSON line per face
  curl -fsSL https://example.org/party.jpg | celebcam identify -
                                                  a photo from standard input
  celebcam enroll \"Roger Federer\" photos/          add a person from photos
  celebcam cameras                                which cameras there are
  celebcam run                                    watch the first camera
  celebcam run --command \"rpicam-vid -t 0 --codec mjpeg -o -\"
                                                  watch a CSI camera of a Raspberry Pi
  celebcam run --camera rtsp://10.0.0.5/stream1   watch a camera in the network
  celebcam doctor                                 what is missing, and what to do about it

Exit codes: 0 done or stopped by a signal, 1 failure, 2 wrong usage, 66 an input is missing or
unreadable, 69 no camera, 78 bad configuration or model.";

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
    /// Settings file to use in place of ~/.config/celebcam/celebcam.toml or
    /// /etc/celebcam/celebcam.toml
    #[arg(long, global = true, value_name = "FILE", value_parser = path(), value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
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
    /// Show the settings that `run` would use, and where each comes from
    Config(ConfigArgs),
    /// Look at everything that `run` needs and say what to do about what is missing
    Doctor(DoctorArgs),
    /// List the cameras and their formats
    Cameras(CamerasArgs),
    /// Show what is inside a model file: people, thresholds, metrics, licence
    Model(ModelArgs),
    /// Measure how fast this machine runs the models
    Bench(BenchArgs),
}

/// Takes the variables from the flags with these ids: settings of other subcommands, they are none of this
/// one.
fn not_settings(ids: &'static [&'static str]) -> impl Fn(Arg) -> Arg {
    |arg| match ids.contains(&arg.get_id().as_str()) {
        true => arg.env(Resettable::Reset),
        false => arg,
    }
}

/// Which models to use.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Models")]
pub struct ModelFiles {
    /// Recognizer to use in place of the built-in one (ONNX, made by the trainer)
    #[arg(long, env = "CELEBCAM_MODEL", value_name = "FILE", value_parser = path(), value_hint = ValueHint::FilePath)]
    pub model: Option<PathBuf>,
    /// Face detector to use in place of the built-in one (ONNX)
    #[arg(long, env = "CELEBCAM_DETECTOR", value_name = "FILE", value_parser = path(), value_hint = ValueHint::FilePath)]
    pub detector: Option<PathBuf>,
}

/// Where the people are that were added.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Models")]
pub struct GalleryArgs {
    /// File of the people that were added with `celebcam enroll` [default: celebcam/gallery in the
    /// user's folder for data, or `gallery` in the folder of the service]
    #[arg(long, env = "CELEBCAM_GALLERY", value_name = "FILE", value_parser = path(), value_hint = ValueHint::FilePath)]
    pub gallery: Option<PathBuf>,
}

/// From when on a face is given a name.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub struct RuleArgs {
    /// Confidence from which a face is named, 0 to 1; the model's own if not given
    #[arg(long, env = "CELEBCAM_THRESHOLD", value_name = "CONFIDENCE", value_parser = share)]
    pub threshold: Option<f32>,
    /// Largest share of strangers' faces to be given a name, such as 0.001; sets the threshold by
    /// the model's own curve
    #[arg(long, env = "CELEBCAM_MAX_FALSE_ACCEPTS", value_name = "SHARE", value_parser = share)]
    pub max_false_accepts: Option<f32>,
}

/// Which faces are given a name.
#[derive(Debug, Clone, Default, Args)]
pub struct DecisionArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub rule: RuleArgs,
    /// Recognize also faces that are too small, too blurred, too dark or seen from the side
    #[arg(long, env = "CELEBCAM_ANY_QUALITY")]
    pub any_quality: bool,
    /// Candidates to show of each face
    #[arg(long, env = "CELEBCAM_TOP_K", value_name = "K", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub top_k: Option<u16>,
}

impl DecisionArgs {
    /// Candidates to keep of each face.
    pub fn top_k(&self) -> usize {
        self.top_k.map_or(defaults::TOP_K, usize::from)
    }

    /// Quality from which on a face is recognized.
    pub fn limits(&self) -> QualityLimits {
        if self.any_quality { QualityLimits::NONE } else { QualityLimits::DEFAULT }
    }
}

/// Which faces are looked at.
#[derive(Debug, Clone, Default, Args)]
pub struct FaceArgs {
    /// Leave out faces whose centre lies in this area, in parts of the picture from 0 to 1 from the
    /// left and the top, such as 0.7,0,0.3,0.5 for a poster in the upper right; several times for
    /// several areas, or with ; between them
    #[arg(long, env = "CELEBCAM_IGNORE", value_name = "X,Y,WIDTH,HEIGHT", value_delimiter = ';')]
    pub ignore: Vec<Area>,
    /// Leave out faces narrower than this
    #[arg(long, env = "CELEBCAM_MIN_FACE", value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    pub min_face: Option<u32>,
}

impl FaceArgs {
    /// The faces that are wanted.
    pub fn wanted(&self) -> Wanted {
        let narrowest_px = self.min_face.map_or(0.0, |width| width as f32);
        Wanted { ignored: self.ignore.clone(), narrowest_px }
    }
}

/// How pictures are brought upright.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct TurnArgs {
    /// Degrees by which to turn each picture clockwise, for a camera that does not hang upright: 0,
    /// 90, 180 or 270
    #[arg(long, env = "CELEBCAM_ROTATE", value_name = "DEGREES", default_value_t = 0, value_parser = rotation)]
    pub rotate: u16,
    /// Mirror each picture, left for right, after it was turned
    #[arg(long, env = "CELEBCAM_FLIP")]
    pub flip: bool,
}

impl TurnArgs {
    /// What is to be done to each picture.
    pub fn turn(self) -> Turn {
        Turn::new(self.rotate, self.flip)
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

const IDENTIFY_EXAMPLES: &str = "\
Examples:
  celebcam identify party.jpg                     who is in a photo
  celebcam identify photos/ --annotate out/       a folder, with names drawn on copies
  curl -fsSL https://example.org/party.jpg | celebcam identify -
                                                  a photo from standard input
  find photos -newer last -print0 | celebcam identify --files-from -
                                                  photos that another program names
  celebcam identify scans/ --rotate 180           photos that are upside down";

/// Arguments of `identify`.
#[derive(Debug, Args)]
#[command(after_help = IDENTIFY_EXAMPLES, mut_args(not_settings(&["rotate", "flip", "ignore", "min_face", "top_k"])))]
pub struct IdentifyArgs {
    /// Photos (JPEG, PNG, WebP, BMP), and folders of photos; - reads a photo from standard input
    #[arg(required_unless_present = "files_from", value_name = "PHOTO|DIR", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,
    /// Read the names of more photos and folders from this file, one a line or, as `find -print0`
    /// writes them, each with a zero behind it; - reads them from standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub files_from: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// The pictures are aligned faces already, as `celebcam crop` writes them
    #[arg(long, conflicts_with = "annotate")]
    pub crops: bool,
    /// Write copies of the photos with boxes and names into this folder
    #[arg(long, value_name = "DIR", value_parser = path(), value_hint = ValueHint::DirPath)]
    pub annotate: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub turn: TurnArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub faces: FaceArgs,
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

/// Arguments of `crop`.
#[derive(Debug, Args)]
pub struct CropArgs {
    /// Photos (JPEG, PNG, WebP, BMP), and folders of photos
    #[arg(required = true, value_name = "PHOTO|DIR", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,
    /// Folder for the crops; folders below an input folder are kept
    #[arg(long, short, value_name = "DIR", value_parser = path(), value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Cut out every face, not only the largest of each photo
    #[arg(long)]
    pub all: bool,
    /// Face detector to use in place of the built-in one (ONNX)
    #[arg(long, env = "CELEBCAM_DETECTOR", value_name = "FILE", value_parser = path(), value_hint = ValueHint::FilePath)]
    pub detector: Option<PathBuf>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
