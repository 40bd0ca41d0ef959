//! Cameras in the network, which ffmpeg reads: their addresses, and its command line.

use std::fmt;
use std::str::FromStr;

use super::turned::turned;
use super::{Error, FrameSource, Program, Result, SourceSpec, Time, command};
use crate::defaults;
use crate::picture::turn::Turn;
use crate::shown::masked;
use crate::system::process;

/// The program that reads them.
pub(super) const READER: &str = "ffmpeg";

/// What to do where it is missing.
pub(super) const READER_ADVICE: &str = "sudo apt install ffmpeg";

/// What the address of a camera may start with.
const SCHEMES: [&str; 7] = ["rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt"];

/// Widest picture to ask for where no size was named: more costs time and shows no more faces.
const WIDEST_PX: u32 = 1280;

/// The address of a camera in the network. Its user and password are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// The address as the camera wants it, secrets included.
    pub fn with_secrets(&self) -> &str {
        &self.0
    }

    fn scheme(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    /// Whether it is that of a single picture, which has to be asked for again and again.
    fn is_picture(&self) -> bool {
        let path = self.0.split(['?', '#']).next().unwrap_or_default().to_lowercase();
        self.scheme().starts_with("http") && (path.ends_with(".jpg") || path.ends_with(".jpeg"))
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("an address starts with rtsp://, http:// or https://".to_owned());
        };
        let scheme = scheme.to_lowercase();
        if !SCHEMES.contains(&scheme.as_str()) {
            return Err(format!(
                "no camera is read by {scheme}://; the address of one starts with rtsp://, http:// \
                 or https://, and other streams come through a program that writes MJPEG, see \
                 --command"
            ));
        }
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        if host.is_empty() || host.starts_with(':') {
            return Err(format!("the address names no host, as in {scheme}://10.0.0.5/stream1"));
        }
        if text.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return Err("an address holds no blanks; write %20 for one".to_owned());
        }
        Ok(Self(format!("{scheme}://{rest}")))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&masked(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Address({self})")
    }
}

/// Whether `text` starts like an address, well or badly written.
pub fn is_like_address(text: &str) -> bool {
    let lower = text.to_lowercase();
    let starts = |scheme: &&str| {
        let rest = lower.strip_prefix(*scheme);
        rest.is_some_and(|rest| rest.starts_with(":/") || rest.starts_with("//"))
    };
    lower.contains("://") || SCHEMES.iter().any(starts)
}

/// Which camera of the network to read, and how.
#[derive(Debug, Clone)]
pub struct NetworkRequest {
    /// Where it is.
    pub address: Address,
    /// Width and height in pixels that its pictures are to fit in.
    pub size_px: Option<(u32, u32)>,
    /// Frames a second; as many as the camera gives if `None`.
    pub rate: Option<f32>,
    /// Waits for a camera that does not answer.
    pub wait: bool,
}

impl SourceSpec for NetworkRequest {
    fn open(&self, turn: Turn) -> Result<Box<dyn FrameSource>> {
        check_reader()?;
        let source = command::open_network(self.argv(), self.address.to_string(), self.wait)?;
        Ok(turned(Box::new(source), turn))
    }

    fn origin(&self) -> String {
        format!("the network camera {}", self.address)
    }

    fn time(&self) -> Time {
        Time::Live
    }

    fn program(&self) -> Option<Program> {
        let name = check_reader().map(|()| READER.to_owned());
        Some(Program { name, advice: format!("Install it: {READER_ADVICE}") })
    }

    fn advice(&self) -> String {
        "Look whether the camera is on, its address, user and password are right, and this machine \
         reaches it; `celebcam -v doctor` shows what ffmpeg says."
            .to_owned()
    }
}

impl NetworkRequest {
    /// The program that reads the camera and writes MJPEG, with its arguments.
    pub fn argv(&self) -> Vec<String> {
        let scheme = self.address.scheme();
        let rate = self.rate.unwrap_or(defaults::LOOK_RATE).to_string();
        let kind: &[&str] = if self.address.is_picture() {
            // Without a limit in microseconds it looks at five seconds of pictures before it gives the first.
            &[
                "-re",
                "-analyzeduration",
                "100000",
                "-f",
                "image2",
                "-pattern_type",
                "none",
                "-loop",
                "1",
                "-framerate",
                &rate,
            ]
        } else if scheme.starts_with("rtsp") {
            // Over UDP pictures come torn.
            &["-rtsp_transport", "tcp"]
        } else {
            &[]
        };
        let quiet = [READER, "-nostdin", "-hide_banner", "-loglevel", "error"];
        let at_once = ["-fflags", "nobuffer", "-flags", "low_delay"];
        let filters = self.filters();
        let output = ["-map", "0:v:0", "-vf", &filters, "-c:v", "mjpeg", "-q:v", "4"];
        let pipe = ["-f", "mjpeg", "-flush_packets", "1", "pipe:1"];
        let input = [&quiet[..], &at_once, kind, &["-i", self.address.with_secrets()]];
        let words = [&input.concat()[..], &output, &pipe].concat();
        words.into_iter().map(str::to_owned).collect()
    }

    fn filters(&self) -> String {
        let scale = match self.size_px {
            Some((width, height)) => {
                format!("scale={width}:{height}:force_original_aspect_ratio=decrease")
            }
            None => format!("scale=w=min({WIDEST_PX}\\,iw):h=-2"),
        };
        match self.rate {
            Some(rate) if !self.address.is_picture() => format!("fps={rate},{scale}"),
            _ => scale,
        }
    }
}

/// Checks that the program is there.
///
/// # Errors
/// [`Error::NoReader`] with what to install.
fn check_reader() -> Result<()> {
    process::check_program(READER).map_err(Error::NoReader)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_checked_and_never_show_their_secrets() {
        let camera = address("RTSP://ann:1234@10.0.0.5/live");
        assert_eq!(camera.with_secrets(), "rtsp://ann:1234@10.0.0.5/live");
        assert_eq!(camera.to_string(), "rtsp://***@10.0.0.5/live");
        assert!(!format!("{camera:?}").contains("1234"));
        for text in
            ["cam", "ftp://cam/x", "rtsp://", "rtsp:///live", "http://:80/", "http://a b", "x://y"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        for text in ["rtsp:/cam", "http//cam", "HTTPS://cam", "file:///x"] {
            assert!(is_like_address(text), "{text}");
        }
        for text in ["rtsp", "HTTP Camera: front", "/dev/video0", "C920"] {
            assert!(!is_like_address(text), "{text}");
        }
    }

    #[test]
    fn the_reader_gets_the_flags_that_fit_the_camera() {
        let argv = |address: Address, size_px, rate| {
            NetworkRequest { address, size_px, rate, wait: true }.argv().join(" ")
        };
        let rtsp = argv(address("rtsp://ann:1234@10.0.0.5/live"), None, None);
        assert!(rtsp.starts_with("ffmpeg -nostdin "), "{rtsp}");
        assert!(rtsp.contains("-rtsp_transport tcp -i rtsp://ann:1234@10.0.0.5/live "), "{rtsp}");
        assert!(rtsp.contains("-vf scale=w=min(1280\\,iw):h=-2 "), "{rtsp}");
        assert!(rtsp.ends_with("-f mjpeg -flush_packets 1 pipe:1"), "{rtsp}");
        let http = argv(address("http://cam/video"), Some((640, 480)), Some(7.5));
        assert!(!http.contains("rtsp"), "{http}");
        assert!(http.contains("-vf fps=7.5,scale=640:480:force_"), "{http}");
        let picture = argv(address("http://cam/now.JPG?x=1"), None, Some(2.0));
        let asked = "-pattern_type none -loop 1 -framerate 2 -i http://cam/now.JPG?x=1 ";
        assert!(picture.contains(asked) && !picture.contains("fps="), "{picture}");
        assert!(!argv(address("rtsp://cam/now.jpg"), None, None).contains("image2"));
    }
}
