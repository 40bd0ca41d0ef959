//! Where pictures come from: a camera, here or in the network, a child process, standard input, or
//! files.

mod backoff;
mod camera;
mod choice;
mod command;
mod device;
mod error;
mod files;
mod handover;
mod live;
mod mjpeg;
mod network;
mod raw;
mod spare;
mod stoppable;
mod turned;

use std::path::PathBuf;
use std::time::Duration;

use crate::picture::turn::Turn;
use crate::system::timing::Timing;
use crate::types::frame::Frame;

pub use camera::{CameraRequest, Fault, formats};
pub use choice::CameraChoice;
pub use device::{CSI_ADVICE, Device, DeviceKind, Devices, Present, Selector};
pub use error::{Error, Failure, Loss, Result};
pub use mjpeg::Splitter;
pub use network::{Address, NetworkRequest, READER, READER_ADVICE, check_reader};

/// Which source to open, and how.
#[derive(Debug, Clone)]
pub enum SourceSpec {
    /// A V4L2 camera.
    Camera(CameraRequest),
    /// A camera in the network.
    Network(NetworkRequest),
    /// Picture files, and folders of them, in the order given.
    Pictures {
        /// Files and folders.
        paths: Vec<PathBuf>,
        /// Pictures a second, `None` as fast as they are worked on.
        rate: Option<f32>,
        /// Starts again after the last one.
        repeat: bool,
    },
    /// A program that writes MJPEG to its standard output.
    Command {
        /// The program and its arguments, quoted as in a shell; no shell runs it.
        line: String,
        /// Every frame counts and the end of the stream is the end of the source.
        recording: bool,
        /// Waits for a program that is not there or gives no pictures; not for a recording.
        wait: bool,
    },
    /// MJPEG on standard input.
    Stdin {
        /// Every frame counts.
        recording: bool,
    },
}

/// What a source has to say when it is asked for the next frame.
#[derive(Debug)]
pub enum Received {
    /// A picture.
    Frame(Frame),
    /// Nothing came in the time given; ask again.
    Nothing,
    /// The source broke, says why, and is being opened again; ask again.
    Lost(String),
    /// The source is back after it was lost; its frames follow.
    Restored,
    /// No more pictures will come.
    End,
}

/// What a source has done so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    /// Frames handed on.
    pub delivered: u64,
    /// Frames that were out of date before anybody asked for them.
    pub dropped: u64,
    /// Frames or files that could not be decoded.
    pub corrupt: u64,
    /// Times the source was opened again after it was lost.
    pub reopened: u64,
    /// Time it took to decode a frame.
    pub decode: Timing,
}

/// A stream of pictures.
pub trait FrameSource {
    /// Waits for the next frame, `timeout` at most.
    ///
    /// # Errors
    /// When the source cannot give pictures and opening it again would not help.
    fn next(&mut self, timeout: Duration) -> Result<Received>;

    /// Takes back a frame that is done with; the next one may use its memory.
    fn done_with(&mut self, frame: Frame) {
        drop(frame);
    }

    /// Name of the source for people, such as a device or a program.
    fn name(&self) -> &str;

    /// Whether it is lost and tries again and again to come back. A driver that does not return from
    /// a call is neither this nor gives frames.
    fn is_looking(&self) -> bool;

    /// What it has done so far.
    fn counters(&self) -> Counters;
}

/// Opens the source that `spec` describes, whose pictures are turned by `turn`.
///
/// # Errors
/// Without the camera asked for, for paths without pictures, for a program that does not start, for a
/// command line that cannot be split, and for a camera in the network without the program that reads it.
pub fn open(spec: &SourceSpec, turn: Turn) -> Result<Box<dyn FrameSource>> {
    let source: Box<dyn FrameSource> = match spec {
        SourceSpec::Camera(request) => Box::new(camera::open(request)?),
        SourceSpec::Network(request) => Box::new(command::open_network(request)?),
        SourceSpec::Pictures { paths, rate, repeat } => {
            // Files are turned while they are read, as their EXIF data asks for turns too.
            return Ok(Box::new(files::PictureFiles::open(paths, turn, *rate, *repeat)?));
        }
        SourceSpec::Command { line, recording, wait } => {
            Box::new(command::open(line, *recording, *wait)?)
        }
        SourceSpec::Stdin { recording } => Box::new(command::open_stdin(*recording)?),
    };
    Ok(turned::turned(source, turn))
}
