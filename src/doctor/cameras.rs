//! The cameras of this machine, and the one that is to be used.

use std::time::Duration;

use super::Finding;
use super::system::within;
use crate::error::Error;
use crate::exit::Exit;
use crate::source::{CSI_ADVICE, Device, DeviceKind, Devices, Selector, SourceSpec, formats};

/// Longest time for a camera to list its formats.
const LIST_WITHIN: Duration = Duration::from_secs(5);

/// What there is, and the camera that `source` reads.
pub fn look(source: &dyn SourceSpec) -> (Finding, Option<Device>) {
    let system = Devices::of_system();
    let devices = system.list();
    let Some(selector) = source.selector() else {
        let found = format!("none needed: pictures come from {}", source.origin());
        return (Finding::ok(found + &also(&devices, None)), None);
    };
    match system.resolve(selector) {
        Ok(device) => {
            let number = device.number;
            let listed = within(LIST_WITHIN, move || formats(number));
            let encodings = listed.and_then(Result::ok).map_or_else(Vec::new, |it| encodings(&it));
            (chosen(&device, &encodings, &devices), Some(device))
        }
        Err(error) => (missing(&error.into(), selector, &devices), None),
    }
}

fn chosen(device: &Device, encodings: &[String], devices: &[Device]) -> Finding {
    let encodings = if encodings.is_empty() {
        String::new()
    } else {
        format!(", which gives {}", encodings.join(", "))
    };
    let csi = if has(devices, DeviceKind::Csi) {
        format!("; the CSI camera needs a program: {CSI_ADVICE}")
    } else {
        String::new()
    };
    Finding::ok(shown(device) + &encodings + &also(devices, Some(device)) + &csi)
}

fn missing(error: &Error, selector: &Selector, devices: &[Device]) -> Finding {
    let text = error.to_string();
    // What is wrong comes first, what there is instead is told below.
    let wrong = text.split("; ").next().unwrap_or(&text);
    let advice = if has(devices, DeviceKind::Camera) && *selector != Selector::First {
        "Choose one that is there with --camera, or none for the first one; `celebcam cameras` \
         says more of each."
            .to_owned()
    } else if has(devices, DeviceKind::Csi) {
        format!("Read the CSI camera through a program: {CSI_ADVICE}")
    } else {
        format!(
            "Plug in a USB camera and look again: celebcam doctor. A CSI camera needs a program: \
             {CSI_ADVICE}"
        )
    };
    Finding::failure(wrong.to_owned() + &also(devices, None), advice, Exit::of(error))
}

fn has(devices: &[Device], kind: DeviceKind) -> bool {
    devices.iter().any(|device| device.kind == kind)
}

fn shown(device: &Device) -> String {
    format!("{} ({})", device.node.display(), device.name)
}

/// The devices but for `chosen`, by what they are.
fn also(devices: &[Device], chosen: Option<&Device>) -> String {
    let of =
        |kind| devices.iter().filter(move |device| device.kind == kind && Some(*device) != chosen);
    let nodes = |kind| of(kind).map(|it| it.node.display().to_string()).collect::<Vec<_>>();
    let groups = [
        ("other cameras", of(DeviceKind::Camera).map(shown).collect()),
        ("raw data of a CSI camera", nodes(DeviceKind::Csi)),
        ("codecs", nodes(DeviceKind::Codec)),
        ("metadata", nodes(DeviceKind::Metadata)),
    ];
    let text = |(what, devices): (&str, Vec<String>)| {
        (!devices.is_empty()).then(|| format!("; {what}: {}", devices.join(", ")))
    };
    groups.into_iter().filter_map(text).collect()
}

/// The encodings among the formats that a camera lists.
fn encodings(formats: &[String]) -> Vec<String> {
    let mut encodings: Vec<String> = Vec::new();
    for encoding in formats.iter().filter_map(|format| format.split(' ').next()) {
        if encodings.iter().all(|known| known != encoding) {
            encodings.push(encoding.to_owned());
        }
    }
    encodings
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;
    use crate::source::{self, Present};

    fn device(number: u32, name: &str, kind: DeviceKind) -> Device {
        let node = format!("/dev/video{number}").into();
        Device { number, node, name: name.to_owned(), kind, links: Vec::new() }
    }

    #[test]
    fn the_camera_comes_first_and_the_others_by_kind() {
        let devices = [
            device(0, "C920", DeviceKind::Camera),
            device(1, "C920", DeviceKind::Metadata),
            device(2, "Door", DeviceKind::Camera),
            device(10, "codec", DeviceKind::Codec),
            device(11, "codec", DeviceKind::Codec),
        ];
        let formats = ["MJPEG 640x480 at 30 fps", "MJPEG 1280x720 at 30 fps", "YUYV 640x480"];
        let finding = chosen(&devices[0], &encodings(&formats.map(str::to_owned)), &devices);
        assert_eq!(
            finding.found(),
            "/dev/video0 (C920), which gives MJPEG, YUYV; other cameras: /dev/video2 (Door); \
             codecs: /dev/video10, /dev/video11; metadata: /dev/video1"
        );
        let with_csi = [devices[0].clone(), device(4, "unicam-image", DeviceKind::Csi)];
        let found = chosen(&with_csi[0], &[], &with_csi).found().to_owned();
        assert!(found.contains("; raw data of a CSI camera: /dev/video4; "), "{found}");
        assert!(found.ends_with(CSI_ADVICE), "{found}");
    }

    #[test]
    fn what_to_do_without_a_camera_depends_on_what_there_is() {
        let present = Present::Cameras(vec![("x".into(), "x".to_owned())]);
        let what = "/dev/video7".to_owned();
        let error = Error::from(source::Error::NoSuchCamera { what, present });
        let csi = device(0, "unicam-image", DeviceKind::Csi);
        let usb = device(2, "Door", DeviceKind::Camera);
        let number = Selector::Number(7);
        let cases = [
            (number.clone(), vec![usb, csi.clone()], "--camera"),
            (number, vec![csi.clone()], "rpicam-vid"),
            (Selector::First, vec![csi], "Read the CSI camera"),
            (Selector::First, vec![], "Plug in a USB camera"),
        ];
        for (selector, devices, words) in cases {
            let finding = missing(&error, &selector, &devices);
            assert_eq!((finding.status(), finding.exit()), (Status::Failure, Some(Exit::NoCamera)));
            assert!(finding.found().starts_with("there is no /dev/video7"), "{finding:?}");
            assert!(!finding.found().contains("connected"), "{finding:?}");
            assert!(finding.advice().is_some_and(|advice| advice.contains(words)), "{finding:?}");
        }
    }
}
