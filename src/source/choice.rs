//! What `--camera` names: a device of this machine, or a camera in the network.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::str::FromStr;

use super::device::Selector;
use super::network::{Address, is_like_address};

/// A camera as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CameraChoice {
    /// One of this machine.
    Device(Selector),
    /// One in the network.
    Network(Address),
}

impl FromStr for CameraChoice {
    /// Why it can never be a camera, and what would be.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_like_address(text) {
            return text.parse().map(Self::Network);
        }
        if text.trim().is_empty() {
            return Err("a camera is needed: its number, its path, a part of its name, or its \
                        address, such as 0, /dev/video0, C920 or rtsp://10.0.0.5/stream1"
                .to_owned());
        }
        if names_host(text) {
            return Err(format!("write the whole address: rtsp://{text} or http://{text}"));
        }
        let is_number = text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
        if is_number && text.parse::<u32>().is_err() {
            return Err("no camera has such a number; `celebcam cameras` lists them".to_owned());
        }
        check_path(Path::new(text), text.contains('/'))?;
        let Ok(selector) = text.parse();
        Ok(Self::Device(selector))
    }
}

/// Whether `text` is the host of an address, with or without port and path.
fn names_host(text: &str) -> bool {
    let host = text.split('/').next().unwrap_or_default();
    host.parse::<IpAddr>().is_ok() || host.parse::<SocketAddr>().is_ok()
}

/// Refuses what cannot become a camera by waiting for it; a name may be that of a file by chance.
fn check_path(path: &Path, is_path: bool) -> Result<(), String> {
    let is_meant = is_path || path.extension().is_some();
    if is_meant && path.is_file() {
        return Err(
            "it is a file, not a camera; a film is read with: ffmpeg -i FILE -q:v 3 -f mjpeg - \
                    | celebcam run --stdin --recording, and pictures with --pictures"
                .to_owned(),
        );
    }
    if is_path && path.is_dir() {
        return Err("it is a folder, not a camera; pictures are read with --pictures".to_owned());
    }
    if is_path && !path.is_absolute() && !path.exists() {
        return Err("there is nothing of that name; the path of a camera starts with /, as in \
                    /dev/video0, and an address with rtsp://, http:// or https://"
            .to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_of_this_machine_and_of_the_network_are_told_apart() {
        let parse = |text: &str| text.parse::<CameraChoice>().unwrap();
        assert_eq!(parse("3"), CameraChoice::Device(Selector::Number(3)));
        let path = Selector::Path("/dev/video3".into());
        assert_eq!(parse("/dev/video3"), CameraChoice::Device(path));
        let name = "HD Webcam: HD Webcam";
        assert_eq!(parse(name), CameraChoice::Device(Selector::Name(name.into())));
        for text in ["rtsp://10.0.0.5/stream1", "HTTP://cam:8080/?action=stream", "https://cam"] {
            assert!(matches!(parse(text), CameraChoice::Network(_)), "{text}");
        }
    }

    #[test]
    fn what_can_never_be_a_camera_is_refused_with_what_would_be() {
        let folder = tempfile::tempdir().unwrap();
        let film = folder.path().join("film.mp4");
        std::fs::write(&film, "").unwrap();
        for (text, words) in [
            ("", "a camera is needed"),
            ("  ", "a camera is needed"),
            ("ftp://cam/x", "--command"),
            ("file:///dev/video0", "--command"),
            ("rtsp:/10.0.0.5", "rtsp://"),
            ("rtsp//10.0.0.5", "rtsp://"),
            ("rtsp://", "no host"),
            ("10.0.0.5", "rtsp://10.0.0.5 or"),
            ("10.0.0.5:8554/live", "rtsp://10.0.0.5:8554/live"),
            ("99999999999", "such a number"),
            ("-1", "such a number"),
            ("camera.local/stream", "starts with /"),
            ("dev/video0", "starts with /"),
            (&film.to_string_lossy(), "--recording"),
            (&folder.path().to_string_lossy(), "--pictures"),
        ] {
            let reason = text.parse::<CameraChoice>().unwrap_err();
            assert!(reason.contains(words), "{text}: {reason}");
        }
    }
}
