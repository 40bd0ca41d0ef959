//! The arguments of `run`, and those that say where pictures come from.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::values::{bytes, path, rate, time_limit};
use super::{DecisionArgs, FaceArgs, Format, GalleryArgs, ModelFiles, TurnArgs};
use crate::defaults;
use crate::source::CameraChoice;

const RUN_EXAMPLES: &str = "\
Examples:
  celebcam run                                    the first camera
  celebcam run --camera C920 --format json        a camera by its name, JSON lines
  celebcam run --command \"rpicam-vid -t 0 --codec mjpeg -o -\"
                                                  a CSI camera of a Raspberry Pi
  celebcam run --camera rtsp://user:password@10.0.0.5/stream1
                                                  a camera in the network, which ffmpeg reads
  celebcam run --rotate 180                       a camera that hangs upside down
  celebcam run --ignore 0.7,0,0.3,0.5 --min-face 40
                                                  not the poster in the upper right, nor who is far
  celebcam run --unknown --format json            strangers come and go too, without a name
  celebcam run --pictures photos/ --fps 5         a folder, five photos a second
  celebcam run --on-event /usr/local/bin/greet    a program for each event, which is on its
                                                  standard input as a JSON line
  celebcam run --on-event 'sh -c \"echo $CELEBCAM_EVENT $CELEBCAM_NAME >> visits.txt\"'
                                                  the same with a shell
  celebcam run --snapshot faces/ --snapshot-limit 1G
                                                  a picture of everybody who comes
  celebcam run --on-event 'curl -fsS -m 8 -H Content-Type:application/json -d @- http://10.0.0.9/hook'
                                                  a web server is told of each event
  ffmpeg -i film.mp4 -r 10 -f mjpeg -q:v 3 - | celebcam run --stdin --recording --fps 10
                                                  every frame of a film of 10 frames a second

Without --recording, frames that come while one is being worked on are dropped. With it the time is
that of the film: who comes and goes does not depend on how fast this machine is.

A camera and a program that are not there are looked for until they are; the log tells it once a
minute at most.";

const CONFIG_EXAMPLES: &str = "\
Examples:
  celebcam config                                 what `celebcam run` would do, and who said so
  celebcam config > celebcam.toml                 a settings file to start from
  CELEBCAM_FPS=2 celebcam config --camera C920    the same with a variable and a flag

Every flag of `run` is a setting: --max-false-accepts is max-false-accepts in the settings file and
CELEBCAM_MAX_FALSE_ACCEPTS in the environment. Flags come before the environment, this before the
file, and the file before the defaults. The file is the one of --config, otherwise
~/.config/celebcam/celebcam.toml, otherwise /etc/celebcam/celebcam.toml.";

/// Flags that are of use only with another, wherever that is set; clap's `requires` asks for it on the
/// command line.
pub const NEEDS: [(&str, &str); 5] = [
    ("width", "height"),
    ("height", "width"),
    ("repeat", "pictures"),
    ("snapshot-limit", "snapshot"),
    ("on-event-timeout", "on-event"),
];

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// How to print
    #[arg(long, env = "CELEBCAM_FORMAT", value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Frames out of the last five in which a person has to be recognized to have come
    #[arg(long, env = "CELEBCAM_CONFIRM", value_name = "FRAMES", default_value_t = defaults::CONFIRM_FRAMES)]
    pub confirm: u32,
    /// Seconds for which a person must not be seen to have gone
    #[arg(long, env = "CELEBCAM_ABSENCE", value_name = "SECONDS", default_value_t = defaults::ABSENCE_S)]
    pub absence: f32,
    /// Tell of strangers too, without a name: a start and an end for each one's visit, and an update
    /// if they get a name after all
    #[arg(long, env = "CELEBCAM_UNKNOWN")]
    pub unknown: bool,
    /// Frames a second to take of a live source while somebody is there; faces are looked for 5
    /// times a second at most, and followed in the other frames. While nobody is there, 5 frames
    /// are taken, and while nothing moves either, one of them is looked at every 10 seconds
    #[arg(long, env = "CELEBCAM_MAX_FPS", value_name = "RATE", default_value_t = defaults::MAX_FPS, value_parser = rate)]
    pub max_fps: f32,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub decision: DecisionArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub faces: FaceArgs,
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
    #[arg(long, env = "CELEBCAM_ON_EVENT_TIMEOUT", value_name = "SECONDS", default_value_t = defaults::ON_EVENT_TIMEOUT_S, value_parser = time_limit)]
    pub on_event_timeout: f32,
    /// Write a JPEG with box and name into this folder when a person comes
    #[arg(long, env = "CELEBCAM_SNAPSHOT", value_name = "DIR", value_parser = path(), value_hint = ValueHint::DirPath)]
    pub snapshot: Option<PathBuf>,
    /// Bytes these pictures may take, such as 500K, 20M or 1G; the oldest are removed first
    #[arg(long, env = "CELEBCAM_SNAPSHOT_LIMIT", value_name = "SIZE", default_value = defaults::SNAPSHOT_LIMIT, value_parser = bytes)]
    pub snapshot_limit: u64,
}

/// Where the pictures come from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub kind: SourceKindArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub playback: PlaybackArgs,
    /// Frames a second: those of a recording (25 if not given), to show of pictures (as many as can be
    /// worked on if not given), or to ask of a camera
    #[arg(long, env = "CELEBCAM_FPS", value_name = "RATE", value_parser = rate)]
    pub fps: Option<f32>,
    /// Width in pixels to ask of a camera
    #[arg(long, env = "CELEBCAM_WIDTH", value_name = "PIXELS")]
    pub width: Option<u32>,
    /// Height in pixels to ask of a camera
    #[arg(long, env = "CELEBCAM_HEIGHT", value_name = "PIXELS")]
    pub height: Option<u32>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub turn: TurnArgs,
}

/// Which source; the first camera where none is named.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub struct SourceKindArgs {
    /// Camera: its number, its path (also one in /dev/v4l/by-id), a part of its name, or the address
    /// of one in the network (rtsp://, http:// or https://), which ffmpeg reads; the first one if no
    /// source is given
    #[arg(long, env = "CELEBCAM_CAMERA", value_name = "CAMERA")]
    pub camera: Option<CameraChoice>,
    /// Program that writes MJPEG to its standard output; it is started again when it ends, and waited
    /// for while it cannot be started or gives no pictures
    #[arg(long, env = "CELEBCAM_COMMAND", value_name = "PROGRAM ARGS")]
    pub command: Option<String>,
    /// Read MJPEG from standard input
    #[arg(long, env = "CELEBCAM_STDIN")]
    pub stdin: bool,
    /// Photos, and folders of photos, as if they were frames; every one is worked on
    #[arg(long, env = "CELEBCAM_PICTURES", num_args = 1.., value_name = "PHOTO|DIR", value_parser = path(), value_hint = ValueHint::AnyPath)]
    pub pictures: Vec<PathBuf>,
}

/// How recordings and pictures are played. Said of one source, it does not count for another.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaybackArgs {
    /// The MJPEG is a recording: work on every frame, not on the newest only, end with it, and take
    /// the time from the frames: their number over --fps
    #[arg(long, env = "CELEBCAM_RECORDING")]
    pub recording: bool,
    /// Start with the first picture again after the last
    #[arg(long, env = "CELEBCAM_REPEAT")]
    pub repeat: bool,
}

/// Arguments of `config`: those of `run`.
#[derive(Debug, Args)]
#[command(after_help = CONFIG_EXAMPLES)]
pub struct ConfigArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub run: RunArgs,
}
