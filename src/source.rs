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

use std::fmt;
use std::time::Duration;

use crate::picture::turn::Turn;
use crate::system::timing::Timing;
use crate::types::frame::Frame;

pub use camera::{CameraRequest, Fault, formats};
pub use choice::CameraChoice;
pub use command::{CommandRequest, StdinRequest};
pub use device::{CSI_ADVICE, Device, DeviceKind, Devices, Present, Selector};
pub use error::{Error, Failure, Loss, Result};
pub use files::PicturesRequest;
pub use mjpeg::Splitter;
pub use network::{Address, NetworkRequest};

/// Which source to open, and how, and what helps people whose source gives no pictures. Each kind of source
/// implements it in a file of its own.
pub trait SourceSpec: fmt::Debug {
    /// Opens the source; its pictures are turned by `turn`.
    ///
    /// # Errors
    /// When the camera asked for is not there, paths hold no pictures, a program does not start, a command
    /// line cannot be split, or the program is missing that reads a camera in the network.
    fn open(&self, turn: Turn) -> Result<Box<dyn FrameSource>>;

    /// Where its pictures come from, for people.
    fn origin(&self) -> String;

    /// Whose time counts for its pictures.
    fn time(&self) -> Time;

    /// The camera of this machine that it reads itself.
    fn selector(&self) -> Option<&Selector> {
        None
    }

    /// The program that it starts.
    fn program(&self) -> Option<Program> {
        None
    }

    /// Whether it may fail because another program uses a camera of this machine.
    fn may_be_taken(&self) -> bool {
        false
    }

    /// What to do when no picture comes.
    fn advice(&self) -> String;
}

/// Whose time counts for the pictures of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// That of this machine: pictures come when they are taken, and those that come too fast are dropped.
    Live,
    /// That of a film, each frame of which counts.
    Film,
    /// None: these are single pictures, each of which counts.
    Pictures,
}

/// A program that a source starts.
#[derive(Debug)]
pub struct Program {
    /// Its name, or why it cannot be started.
    pub name: Result<String>,
    /// What to do when it cannot.
    pub advice: String,
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

    /// Whether it is lost and tries again and again to come back. While a driver does not return from a
    /// call it is not, and gives no frames either.
    fn is_looking(&self) -> bool;

    /// What it has done so far.
    fn counters(&self) -> Counters;
}
