//! What follows from what was said: the only thing that commands and the doctor go by. Made once,
//! checked as a whole.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::error::{Error, Result};
use super::{Said, Setting};
use crate::cli::{
    self, BenchArgs, Cli, Command, CropArgs, DecisionArgs, FaceArgs, Format, GalleryArgs,
    ModelArgs, ModelFiles, RuleArgs,
};
use crate::defaults;
use crate::gallery::place;
use crate::picture::turn::Turn;
use crate::recognize::Demand;
use crate::source::SourceSpec;
use crate::stages::{ObserverSpec, RecognizerSpec};

mod run;

pub use run::{RunConfig, Setup, Snapshots};

/// What to do.
#[derive(Debug)]
pub enum Config {
    /// Say who is in photos.
    Identify(IdentifyConfig),
    /// Say who comes and goes.
    Run(RunConfig),
    /// Add a person.
    Enroll(EnrollConfig),
    /// List or change the people that were added.
    People(PeopleConfig),
    /// Cut faces out of photos.
    Crop(CropArgs),
    /// Show the settings of a run, which were checked.
    Config(Vec<Setting>),
    /// Look at everything that a run needs.
    Doctor(DoctorConfig),
    /// List the cameras.
    Cameras,
    /// Show what is inside a model file.
    Model(ModelArgs),
    /// Measure how fast models run.
    Bench(BenchArgs),
}

/// What `identify` goes by.
#[derive(Debug)]
pub struct IdentifyConfig {
    /// Photos and folders of them.
    pub inputs: Vec<PathBuf>,
    /// A list of more of them.
    pub files_from: Option<PathBuf>,
    /// How to print.
    pub format: Format,
    /// The pictures are aligned faces.
    pub crops: bool,
    /// Folder for annotated copies.
    pub annotate: Option<PathBuf>,
    /// How photos are turned.
    pub turn: Turn,
    /// The observer to load.
    pub observer: ObserverSpec,
    /// Candidates to print in text.
    pub candidates: usize,
    /// Photos to work on at the same time; the number of processor cores if `None`.
    pub threads: Option<usize>,
    /// The gallery's file.
    pub gallery: Option<PathBuf>,
}

/// What `enroll` goes by.
#[derive(Debug)]
pub struct EnrollConfig {
    /// Name of the person.
    pub name: String,
    /// Pictures are added to somebody who is known.
    pub add: bool,
    /// Faces that others have are added too.
    pub force: bool,
    /// Where the pictures come from.
    pub from: EnrollFrom,
    /// The observer to load.
    pub observer: ObserverSpec,
    /// The gallery's file.
    pub gallery: PathBuf,
}

/// Where the pictures of a new person come from.
#[derive(Debug)]
pub enum EnrollFrom {
    /// From photos.
    Photos(EnrollPhotos),
    /// From a camera or another source.
    Camera(EnrollCamera),
}

/// Photos of a new person.
#[derive(Debug)]
pub struct EnrollPhotos {
    /// Photos and folders of them.
    pub inputs: Vec<PathBuf>,
    /// Of several faces the largest is the person's.
    pub largest: bool,
    /// Few that can be used are enough.
    pub skip: bool,
}

/// Frames of a new person.
#[derive(Debug)]
pub struct EnrollCamera {
    /// The source.
    pub source: Box<dyn SourceSpec>,
    /// How its pictures are turned.
    pub turn: Turn,
    /// Good frames to take.
    pub frames: usize,
    /// Longest time to take them.
    pub timeout: Duration,
}

/// What `people` goes by.
#[derive(Debug)]
pub struct PeopleConfig {
    /// What to do.
    pub change: PeopleChange,
    /// The recognizer to load, which has people of its own and a threshold.
    pub recognizer: RecognizerSpec,
    /// The gallery's file.
    pub gallery: PathBuf,
}

/// What to do with the people that were added.
#[derive(Debug)]
pub enum PeopleChange {
    /// List them.
    List(Format),
    /// Give a person another name.
    Rename {
        /// Name or id.
        old: String,
        /// The new name.
        new: String,
    },
    /// Remove those with these names or ids.
    Remove(Vec<String>),
}

/// What `doctor` goes by: the settings of a run, whether that takes them or not.
#[derive(Debug)]
pub struct DoctorConfig {
    /// How to print.
    pub format: Format,
    /// Whether a run takes the settings.
    pub checked: Result<()>,
    /// What the run would work with.
    pub setup: Setup,
    /// What was said, and where.
    pub said: Said,
    /// A sentence for each variable of the environment that looks like a setting and is none.
    pub unknown_variables: Vec<String>,
}

impl Config {
    /// What follows from the command line and what was said elsewhere. The doctor is told of
    /// `unknown_variables`.
    ///
    /// # Errors
    /// Settings that are out of range or do not go together, but for the doctor, who is told.
    pub fn new(
        cli: Cli,
        said: Said,
        unknown_variables: Vec<String>,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        let gallery = |args: GalleryArgs| args.gallery.or_else(|| place::default_path(environment));
        Ok(match cli.command {
            Command::Identify(args) => {
                let gallery = gallery(args.gallery.clone());
                Self::Identify(identify(args, gallery))
            }
            Command::Run(args) => {
                let gallery = gallery(args.gallery.clone());
                Self::Run(RunConfig::new(&args, gallery)?)
            }
            Command::Config(args) => {
                run::check(&args.run)?;
                Self::Config(said.settings)
            }
            Command::Doctor(cli::DoctorArgs { run: args }) => Self::Doctor(DoctorConfig {
                format: args.format,
                checked: run::check(&args).map(drop),
                setup: Setup::new(&args, gallery(args.gallery.clone()), false),
                said,
                unknown_variables,
            }),
            Command::Enroll(args) => {
                let gallery = gallery(args.gallery.clone()).ok_or(Error::NoGalleryFolder)?;
                Self::Enroll(enroll(args, gallery)?)
            }
            Command::People(args) => Self::People(people(args, gallery)?),
            Command::Crop(args) => Self::Crop(args),
            Command::Cameras(_) => Self::Cameras,
            Command::Model(args) => Self::Model(args),
            Command::Bench(args) => Self::Bench(args),
        })
    }
}

fn identify(args: cli::IdentifyArgs, gallery: Option<PathBuf>) -> IdentifyConfig {
    IdentifyConfig {
        observer: observer(args.models, &args.decision, &args.faces),
        inputs: args.inputs,
        files_from: args.files_from,
        format: args.format,
        crops: args.crops,
        annotate: args.annotate,
        turn: args.turn.turn(),
        candidates: args.decision.top_k.map_or(0, usize::from),
        threads: args.threads.map(usize::from),
        gallery,
    }
}

fn enroll(args: cli::EnrollArgs, gallery: PathBuf) -> Result<EnrollConfig> {
    let detector = args.models.detector.clone();
    let recognizer = recognizer(args.models, &args.rule, defaults::ENROLL_CANDIDATES);
    let from = if args.from_camera {
        EnrollFrom::Camera(EnrollCamera {
            source: run::source(&args.source, false),
            turn: args.source.turn.turn(),
            frames: usize::from(args.frames),
            timeout: seconds("timeout", args.timeout)?,
        })
    } else {
        let (largest, skip) = (args.largest, args.skip);
        EnrollFrom::Photos(EnrollPhotos { inputs: args.inputs, largest, skip })
    };
    Ok(EnrollConfig {
        name: args.name,
        add: args.add,
        force: args.force,
        from,
        observer: ObserverSpec { detector, recognizer, ..ObserverSpec::default() },
        gallery,
    })
}

fn people(
    args: cli::PeopleArgs,
    gallery: impl Fn(GalleryArgs) -> Option<PathBuf>,
) -> Result<PeopleConfig> {
    let (change, rule, models, place) = match args.command {
        None => (PeopleChange::List(args.format), args.rule, args.models, args.gallery),
        Some(cli::PeopleCommand::Rename { old, new, models, gallery }) => {
            (PeopleChange::Rename { old, new }, RuleArgs::default(), models, gallery)
        }
        Some(cli::PeopleCommand::Remove { names, models, gallery }) => {
            (PeopleChange::Remove(names), RuleArgs::default(), models, gallery)
        }
    };
    let recognizer = recognizer(models, &rule, defaults::TOP_K);
    let gallery = gallery(place).ok_or(Error::NoGalleryFolder)?;
    Ok(PeopleConfig { change, recognizer, gallery })
}

fn observer(models: ModelFiles, decision: &DecisionArgs, faces: &FaceArgs) -> ObserverSpec {
    ObserverSpec {
        detector: models.detector.clone(),
        recognizer: recognizer(models, &decision.rule, decision.top_k()),
        limits: decision.limits(),
        wanted: faces.wanted(),
    }
}

fn recognizer(models: ModelFiles, rule: &RuleArgs, top_k: usize) -> RecognizerSpec {
    let demand = match (rule.threshold, rule.max_false_accepts) {
        (Some(confidence), _) => Demand::Confidence(confidence),
        (None, Some(share)) => Demand::FalseAccepts(share),
        (None, None) => Demand::Model,
    };
    RecognizerSpec { model: models.model, demand, top_k }
}

/// The time of the setting `key`.
fn seconds(key: &'static str, seconds: f32) -> Result<Duration> {
    Duration::try_from_secs_f32(seconds).map_err(|source| Error::Seconds { key, seconds, source })
}
