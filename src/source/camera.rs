//! Cameras through V4L2. The only place that names nokhwa.
//!
//! A camera lives in a thread of its own: nokhwa waits for the frame of a camera without a limit, and a
//! driver may not return from a call at all. A signal to the thread ends the former.

use std::os::unix::thread::JoinHandleExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::pthread::pthread_kill;
use nix::sys::signal::Signal;
use nokhwa::utils::{
    CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution,
};
use nokhwa::{Camera, NokhwaError};

use super::backoff::Backoff;
use super::device::{Devices, Selector};
use super::handover::{Giver, Keep};
use super::live::{Ending, Feed, Link, LiveSource, Manner};
use super::raw::{PixelForm, RawFrame};
use super::spare::Spare;
use super::turned::turned;
use super::{Error, Failure, FrameSource, Loss, Result, SourceSpec, Time};
use crate::picture::jpeg::markers;
use crate::picture::turn::Turn;
use crate::system;

/// Time between two looks for a camera that is gone.
const RETRY: Duration = Duration::from_millis(250);

/// Longest time to the first frame; some cameras let several formats time out.
const OPENING_DEADLINE: Duration = Duration::from_secs(15);

/// Which camera to open, and how.
#[derive(Debug, Clone)]
pub struct CameraRequest {
    /// Which one.
    pub selector: Selector,
    /// Width and height in pixels to try first.
    pub size_px: Option<(u32, u32)>,
    /// Frames a second to try first.
    pub rate: Option<u32>,
    /// Longest time from one frame to the next.
    pub frame_deadline: Duration,
    /// Waits for a camera that is not there, is used by somebody else, or may not be opened.
    pub wait: bool,
}

/// Wakes a camera's thread that waits for a frame; nobody else sends it.
const WAKE: Signal = Signal::SIGURG;

impl SourceSpec for CameraRequest {
    fn open(&self, turn: Turn) -> Result<Box<dyn FrameSource>> {
        // A signal without a handler does not end a wait.
        signal_hook::flag::register(WAKE as i32, Arc::new(AtomicBool::new(false)))
            .map_err(system::Error::Signals)?;
        let source = LiveSource::open(CameraFeed {
            request: self.clone(),
            devices: Devices::of_system(),
            name: self.selector.to_string(),
            thread: None,
        })?;
        Ok(turned(Box::new(source), turn))
    }

    fn origin(&self) -> String {
        self.selector.to_string()
    }

    fn time(&self) -> Time {
        Time::Live
    }

    fn selector(&self) -> Option<&Selector> {
        Some(&self.selector)
    }

    fn may_be_taken(&self) -> bool {
        true
    }

    fn advice(&self) -> String {
        "Look which cameras there are: celebcam cameras".to_owned()
    }
}

/// The formats of camera `number` that can be decoded, one text for each encoding and size.
///
/// # Errors
/// [`Error::Camera`] when it does not open or lists nothing of use.
pub fn formats(number: u32) -> Result<Vec<String>> {
    let listed = catch_unwind(|| listed_formats(number).map_err(Loss::from))
        .unwrap_or(Err(Loss::Nonsense))
        .map_err(|loss| Error::Camera {
            name: format!("/dev/video{number}"),
            failure: loss.into(),
        })?;
    let mut texts: Vec<String> = Vec::new();
    for same in listed.chunk_by(|a, b| (a.format(), a.resolution()) == (b.format(), b.resolution()))
    {
        let rates: Vec<String> =
            same.iter().map(|format| format.frame_rate().to_string()).collect();
        texts.push(format!(
            "{} {} at {} fps",
            same[0].format(),
            same[0].resolution(),
            rates.join(", ")
        ));
    }
    Ok(texts)
}

/// A camera that is looked up anew at every connect.
pub struct CameraFeed {
    request: CameraRequest,
    devices: Devices,
    name: String,
    thread: Option<Arc<JoinHandle<()>>>,
}

impl Feed for CameraFeed {
    type Link = CameraLink;

    fn connect(&mut self, giver: Giver<RawFrame>, spare: &Spare) -> Result<CameraLink> {
        if let Some(thread) = self.thread.as_ref().filter(|thread| !thread.is_finished()) {
            wake(thread);
            return Err(Error::Stuck);
        }
        let device = self.devices.resolve(&self.request.selector)?;
        self.name = format!("{} ({})", device.node.display(), device.name);
        let request = self.request.clone();
        let spare = spare.clone();
        let thread = std::thread::Builder::new()
            .name("camera".to_string())
            .spawn(move || {
                let capture = || capture(device.number, &request, &giver, &spare);
                let loss = catch_unwind(AssertUnwindSafe(capture)).unwrap_or(Loss::Nonsense);
                giver.end(loss);
            })
            .map_err(Error::Thread)?;
        let thread = Arc::new(thread);
        self.thread = Some(Arc::clone(&thread));
        Ok(CameraLink { thread })
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn is_stuck(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn failure(&self, failure: Failure) -> Error {
        Error::Camera { name: self.name.clone(), failure }
    }

    fn manner(&self) -> Manner {
        Manner {
            opening_deadline: Some(OPENING_DEADLINE.max(self.request.frame_deadline)),
            frame_deadline: Some(self.request.frame_deadline),
            reopen: Some(Backoff::new(RETRY, RETRY)),
            patient: self.request.wait,
            keep: Keep::Newest,
        }
    }
}

/// An open camera. Its thread closes it when it finds its next frame refused, or is woken.
pub struct CameraLink {
    thread: Arc<JoinHandle<()>>,
}

impl Drop for CameraLink {
    fn drop(&mut self) {
        wake(&self.thread);
    }
}

/// Ends a camera's wait for a frame. It may come a moment too early; then it has to be sent again.
fn wake(thread: &JoinHandle<()>) {
    if thread.is_finished() {
        return;
    }
    if let Err(error) = pthread_kill(thread.as_pthread_t(), WAKE) {
        log::debug!("cannot wake the camera's thread: {error}");
    }
}

impl Link for CameraLink {
    fn ending(&mut self, loss: Loss) -> Ending {
        Ending { loss, complete: false }
    }
}

/// What a camera's driver or nokhwa refuses, in words that say what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", explain(&.0.to_string()))]
pub struct Fault(#[source] NokhwaError);

/// Gives frames until they are refused or the camera fails; returns what happened.
fn capture(number: u32, request: &CameraRequest, giver: &Giver<RawFrame>, spare: &Spare) -> Loss {
    match stream(number, request, giver, spare) {
        Ok(()) => Loss::Closed,
        Err(error) => Fault(error).into(),
    }
}

fn stream(
    number: u32,
    request: &CameraRequest,
    giver: &Giver<RawFrame>,
    spare: &Spare,
) -> Result<(), NokhwaError> {
    let mut camera = connect(number, request)?;
    camera.open_stream()?;
    let format = camera.camera_format();
    log::debug!("/dev/video{number}: {format}");
    loop {
        let data = camera.frame_raw()?;
        if !giver.give_if_awaited(|| frame_of(&data, &format, spare)) {
            return Ok(());
        }
    }
}

/// Takes a frame out of the driver's memory, which is longer than a compressed picture.
fn frame_of(data: &[u8], format: &CameraFormat, spare: &Spare) -> RawFrame {
    match pixel_form(format.format()) {
        Some(pixels) => {
            RawFrame::uncompressed(pixels, format.width(), format.height(), data, spare)
        }
        None => {
            let layout = markers::layout(data).ok().filter(|layout| layout.has_end_marker);
            let end = layout.map_or(data.len(), |layout| layout.behind());
            RawFrame::jpeg(data[..end].to_vec())
        }
    }
}

/// Opens the device with the first format of the ladder that it takes.
fn connect(number: u32, request: &CameraRequest) -> Result<Camera, NokhwaError> {
    let mut refusal = None;
    for format in ladder(request) {
        match open_with(number, format) {
            Ok(camera) => return Ok(camera),
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => refusal = Some(error),
        }
        log::debug!("/dev/video{number} refuses {format}");
    }
    let listed =
        listed_formats(number).map_err(|fault| NokhwaError::GeneralError(fault.to_string()))?;
    for format in listed {
        match open_with(number, format) {
            Ok(camera) => return Ok(camera),
            Err(error) => refusal = Some(error),
        }
    }
    Err(refusal.unwrap_or(NokhwaError::GeneralError("it lists no format".to_string())))
}

fn open_with(number: u32, format: CameraFormat) -> Result<Camera, NokhwaError> {
    let encodings = [format.format()];
    let exact = RequestedFormat::with_formats(RequestedFormatType::Exact(format), &encodings);
    Camera::new(CameraIndex::Index(number), exact)
}

/// No other format would help.
fn is_final(error: &NokhwaError) -> bool {
    let busy_or_gone = ["os error 16", "os error 19"];
    let text = error.to_string();
    matches!(error, NokhwaError::OpenDeviceError(..))
        || busy_or_gone.iter().any(|code| text.contains(code))
}

/// The formats to try: what was asked for, then sizes that most cameras have, the cheapest first.
fn ladder(request: &CameraRequest) -> Vec<CameraFormat> {
    let mut ladder = Vec::new();
    let sizes = request.size_px.into_iter().chain([(640, 480), (1280, 720)]);
    for (width, height) in sizes {
        for encoding in [FrameFormat::MJPEG, FrameFormat::YUYV] {
            for rate in request.rate.into_iter().chain([30, 15, 10]) {
                let format = CameraFormat::new(Resolution::new(width, height), encoding, rate);
                if !ladder.contains(&format) {
                    ladder.push(format);
                }
            }
        }
    }
    ladder
}

/// The formats that the device lists, those nearest to 640x480 first.
fn listed_formats(number: u32) -> Result<Vec<CameraFormat>, Fault> {
    let any =
        RequestedFormat::with_formats(RequestedFormatType::None, nokhwa::utils::frame_formats());
    let mut formats = Camera::new(CameraIndex::Index(number), any)
        .and_then(|mut camera| camera.compatible_camera_formats())
        .map_err(Fault)?;
    formats.sort_by_key(|format| {
        let size = format.resolution();
        let pixels = u64::from(size.width()) * u64::from(size.height());
        (pixels.abs_diff(640 * 480), size, format.format(), std::cmp::Reverse(format.frame_rate()))
    });
    formats.dedup();
    Ok(formats)
}

/// How pixels are laid out; `None` for pictures that are compressed.
fn pixel_form(format: FrameFormat) -> Option<PixelForm> {
    match format {
        FrameFormat::MJPEG => None,
        FrameFormat::YUYV => Some(PixelForm::Yuyv),
        FrameFormat::NV12 => Some(PixelForm::Nv12),
        FrameFormat::GRAY => Some(PixelForm::Grey),
        FrameFormat::RAWRGB => Some(PixelForm::Rgb),
        FrameFormat::RAWBGR => Some(PixelForm::Bgr),
    }
}

/// Turns the text of a system error into what it means here; the backend gives no codes.
fn explain(error: &str) -> String {
    let meanings = [
        (
            "os error 13",
            "permission denied; add the user to the group video (sudo usermod -aG video $USER) and log in again",
        ),
        ("os error 16", "another program is using the camera; close it"),
        ("os error 19", "the camera was unplugged"),
        ("Failed to Fufill", "it lists no format that can be read"),
    ];
    meanings
        .iter()
        .find(|(code, _)| error.contains(code))
        .map_or_else(|| error.to_string(), |(_, meaning)| (*meaning).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(size_px: Option<(u32, u32)>, rate: Option<u32>) -> CameraRequest {
        CameraRequest {
            selector: Selector::First,
            size_px,
            rate,
            frame_deadline: Duration::from_secs(5),
            wait: false,
        }
    }

    fn texts(request: &CameraRequest) -> Vec<String> {
        let text = |format: &CameraFormat| {
            format!("{} {} {}", format.format(), format.resolution(), format.frame_rate())
        };
        ladder(request).iter().map(text).collect()
    }

    #[test]
    fn the_ladder_starts_small_and_compressed() {
        let ladder = texts(&request(None, None));
        assert_eq!(ladder[0], "MJPEG 640x480 30");
        assert_eq!(ladder[1], "MJPEG 640x480 15");
        assert_eq!(ladder[3], "YUYV 640x480 30");
        assert_eq!(ladder[6], "MJPEG 1280x720 30");
        assert_eq!(ladder.len(), 12);
    }

    #[test]
    fn what_was_asked_for_comes_first_and_nothing_twice() {
        let ladder = texts(&request(Some((1280, 720)), Some(15)));
        assert_eq!(ladder[0], "MJPEG 1280x720 15");
        assert_eq!(ladder[1], "MJPEG 1280x720 30");
        assert_eq!(ladder.len(), 12);
    }

    #[test]
    fn system_errors_say_what_to_do() {
        let text = "Could not open device 0: V4L2 Error: Permission denied (os error 13)";
        assert!(explain(text).contains("group video"));
        assert!(explain("busy (os error 16)").contains("another program"));
        assert_eq!(explain("something else"), "something else");
        let fault = Fault(NokhwaError::GeneralError("(os error 19)".into()));
        assert_eq!(fault.to_string(), "the camera was unplugged");
        assert!(is_final(&NokhwaError::OpenDeviceError("0".into(), "x".into())));
        assert!(is_final(&NokhwaError::GeneralError("(os error 16)".into())));
        assert!(!is_final(&NokhwaError::GeneralError("Rejected".into())));
    }

    #[test]
    fn a_device_that_is_not_there_gives_an_error() {
        let error = formats(9999).unwrap_err();
        assert!(
            matches!(&error, Error::Camera { name, .. } if name == "/dev/video9999"),
            "{error}"
        );
    }
}
