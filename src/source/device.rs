//! The V4L2 devices of this machine, read from sysfs, and the choice of one of them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Error, Result};

/// The command line for a camera that V4L2 cannot read.
pub const CSI_ADVICE: &str = "celebcam run --command \"rpicam-vid -t 0 --codec mjpeg -o -\"";

/// Which camera to use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selector {
    /// The first camera there is.
    #[default]
    First,
    /// Number N of `/dev/videoN`.
    Number(u32),
    /// A device node or a link to one, such as those in `/dev/v4l/by-id`.
    Path(PathBuf),
    /// Part of the camera's name, in any case.
    Name(String),
}

impl FromStr for Selector {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.parse() {
            Ok(number) => Self::Number(number),
            Err(_) if text.contains('/') => Self::Path(text.into()),
            Err(_) => Self::Name(text.to_string()),
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("a camera"),
            Self::Number(number) => write!(f, "/dev/video{number}"),
            Self::Path(path) => path.display().fmt(f),
            Self::Name(name) => write!(f, "camera {name}"),
        }
    }
}

/// What a device node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// A camera, as far as its name and driver tell.
    Camera,
    /// Facts about the frames of another node, not frames.
    Metadata,
    /// A video codec or an image processor.
    Codec,
    /// Raw sensor data of a CSI camera, of no use without libcamera.
    Csi,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Camera => "a camera",
            Self::Metadata => "a metadata node, not a camera",
            Self::Codec => "a video codec or image processor, not a camera",
            Self::Csi => "raw data of a CSI camera, which V4L2 cannot turn into pictures",
        })
    }
}

/// A V4L2 device node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Number N of `/dev/videoN`.
    pub number: u32,
    /// The node.
    pub node: PathBuf,
    /// Name that the driver gives it.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
    /// Links to it that stay the same when the number changes.
    pub links: Vec<PathBuf>,
}

/// Where the system shows its devices.
#[derive(Debug, Clone)]
pub struct Devices {
    class: PathBuf,
    dev: PathBuf,
}

impl Devices {
    /// Those of this system.
    pub fn of_system() -> Self {
        Self { class: "/sys/class/video4linux".into(), dev: "/dev".into() }
    }

    /// All `videoN` devices by number.
    pub fn list(&self) -> Vec<Device> {
        let Ok(entries) = fs::read_dir(&self.class) else {
            return Vec::new();
        };
        let mut devices: Vec<Device> =
            entries.flatten().filter_map(|entry| self.read(&entry.path())).collect();
        devices.sort_by_key(|device| device.number);
        devices
    }

    /// Finds the camera that `selector` names, at this moment.
    ///
    /// # Errors
    /// [`Error::NoCamera`], [`Error::NoSuchCamera`], [`Error::NotACamera`] and [`Error::OtherDevice`], with
    /// what there is instead and what to do.
    pub fn resolve(&self, selector: &Selector) -> Result<Device> {
        let devices = self.list();
        let cameras = || devices.iter().filter(|device| device.kind == DeviceKind::Camera);
        match selector {
            Selector::First => {
                cameras().next().cloned().ok_or_else(|| Error::NoCamera(present(&devices)))
            }
            Selector::Number(number) => self.by_number(*number, &devices),
            Selector::Path(path) => {
                let number = fs::canonicalize(path).ok().and_then(|node| node_number(&node));
                match number {
                    Some(number) => self.by_number(number, &devices),
                    None if path.exists() => {
                        let (path, present) = (path.clone(), present(&devices));
                        Err(Error::NotACamera { path, present })
                    }
                    None => Err(missing(path.display().to_string(), &devices)),
                }
            }
            Selector::Name(part) => {
                let lower = part.to_lowercase();
                cameras()
                    .find(|device| device.name.to_lowercase().contains(&lower))
                    .cloned()
                    .ok_or_else(|| missing(format!("camera named \"{part}\""), &devices))
            }
        }
    }

    fn by_number(&self, number: u32, devices: &[Device]) -> Result<Device> {
        let node = self.dev.join(format!("video{number}"));
        let Some(device) = devices.iter().find(|device| device.number == number) else {
            if !node.exists() {
                return Err(missing(node.display().to_string(), devices));
            }
            return Ok(Device {
                number,
                name: format!("video{number}"),
                node,
                kind: DeviceKind::Camera,
                links: Vec::new(),
            });
        };
        match device.kind {
            DeviceKind::Camera => Ok(device.clone()),
            _ => {
                let (device, present) = (Box::new(device.clone()), present(devices));
                Err(Error::OtherDevice { device, present })
            }
        }
    }

    fn read(&self, entry: &Path) -> Option<Device> {
        let number = node_number(entry)?;
        let text = |file: &str| fs::read_to_string(entry.join(file)).unwrap_or_default();
        let driver = fs::canonicalize(entry.join("device/driver"))
            .ok()
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_default();
        let name = text("name").trim().to_string();
        let index = text("index").trim().parse().unwrap_or(0);
        let node = self.dev.join(format!("video{number}"));
        Some(Device {
            number,
            kind: classify(&name, &driver, index),
            links: self.links_to(&node),
            name,
            node,
        })
    }

    fn links_to(&self, node: &Path) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.dev.join("v4l/by-id")) else {
            return Vec::new();
        };
        let Ok(node) = fs::canonicalize(node) else {
            return Vec::new();
        };
        let mut links: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|link| fs::canonicalize(link).is_ok_and(|target| target == node))
            .collect();
        links.sort();
        links
    }
}

/// N of a path that ends in `videoN`.
fn node_number(path: &Path) -> Option<u32> {
    let digits = path.file_name()?.to_str()?.strip_prefix("video")?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// `index` is the node's place among the nodes of its device: uvcvideo puts a metadata node after
/// each of its capture nodes.
fn classify(name: &str, driver: &str, index: u32) -> DeviceKind {
    const METADATA: [&str; 3] = ["metadata", "embedded", "stats"];
    const CSI: [&str; 2] = ["unicam", "rp1-cfe"];
    const CODEC: [&str; 8] =
        ["bcm2835-codec", "bcm2835-isp", "pispbe", "rpivid", "hevc-dec", "hantro", "codec", "isp-"];
    let text = format!("{driver} {name}").to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&CSI) {
        DeviceKind::Csi
    } else if has(&CODEC) {
        DeviceKind::Codec
    } else if has(&METADATA) || (driver == "uvcvideo" && index % 2 == 1) {
        DeviceKind::Metadata
    } else {
        DeviceKind::Camera
    }
}

fn missing(what: String, devices: &[Device]) -> Error {
    Error::NoSuchCamera { what, present: present(devices) }
}

/// The cameras that there are in the place of one that is not; as a text with what to do when there is
/// none of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Present {
    /// Node and name of each.
    Cameras(Vec<(PathBuf, String)>),
    /// One that V4L2 cannot read.
    Csi,
    /// None.
    Nothing,
}

impl fmt::Display for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cameras(cameras) => {
                let texts: Vec<String> = cameras
                    .iter()
                    .map(|(node, name)| format!("{} ({name})", node.display()))
                    .collect();
                write!(f, "connected: {}", texts.join(", "))
            }
            Self::Csi => write!(f, "a CSI camera is connected, read it with: {CSI_ADVICE}"),
            Self::Nothing => write!(
                f,
                "plug in a USB camera and look at `celebcam cameras`, or read a CSI camera with: \
                 {CSI_ADVICE}"
            ),
        }
    }
}

fn present(devices: &[Device]) -> Present {
    let of_kind = |kind| devices.iter().filter(move |device| device.kind == kind);
    let cameras: Vec<_> = of_kind(DeviceKind::Camera)
        .map(|device| (device.node.clone(), device.name.clone()))
        .collect();
    if !cameras.is_empty() {
        Present::Cameras(cameras)
    } else if of_kind(DeviceKind::Csi).next().is_some() {
        Present::Csi
    } else {
        Present::Nothing
    }
}

#[cfg(test)]
mod tests;
