use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A machine with a `/dev` and a sysfs of its own.
struct Machine {
    root: TempDir,
    devices: Devices,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let devices = Devices { class: root.path().join("class"), dev: root.path().join("dev") };
        fs::create_dir_all(&devices.class).unwrap();
        fs::create_dir_all(devices.dev.join("v4l/by-id")).unwrap();
        Self { root, devices }
    }

    fn with(self, number: u32, name: &str, driver: &str, index: u32) -> Self {
        let entry = self.devices.class.join(format!("video{number}"));
        let driver = self.root.path().join("drivers").join(driver);
        fs::create_dir_all(entry.join("device")).unwrap();
        fs::create_dir_all(&driver).unwrap();
        symlink(driver, entry.join("device/driver")).unwrap();
        fs::write(entry.join("name"), format!("{name}\n")).unwrap();
        fs::write(entry.join("index"), format!("{index}\n")).unwrap();
        fs::write(self.devices.dev.join(format!("video{number}")), "").unwrap();
        self
    }

    fn webcam(self) -> Self {
        self.with(2, "HD Pro Webcam C920", "uvcvideo", 0).with(
            3,
            "HD Pro Webcam C920",
            "uvcvideo",
            1,
        )
    }

    fn raspberry_pi_5(self) -> Self {
        self.with(0, "rp1-cfe-csi2_ch0", "rp1-cfe", 0)
            .with(1, "rp1-cfe-embedded", "rp1-cfe", 1)
            .with(19, "rpi-hevc-dec", "rpi-hevc-dec", 0)
            .with(20, "pispbe-input", "pispbe", 0)
    }

    fn number(&self, selector: &str) -> Result<u32, String> {
        let selector = selector.parse().unwrap();
        match self.devices.resolve(&selector) {
            Ok(device) => Ok(device.number),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[test]
fn selectors_are_told_apart() {
    let parse = |text: &str| text.parse::<Selector>().unwrap();
    assert_eq!(parse("3"), Selector::Number(3));
    assert_eq!(parse("/dev/video3"), Selector::Path("/dev/video3".into()));
    assert_eq!(parse("C920"), Selector::Name("C920".into()));
}

#[test]
fn nodes_are_classified() {
    let machine = Machine::new()
        .raspberry_pi_5()
        .webcam()
        .with(10, "bcm2835-codec-decode", "bcm2835-codec", 0)
        .with(13, "bcm2835-isp-output0", "bcm2835-isp", 0)
        .with(14, "unicam-image", "unicam", 0)
        .with(30, "Dummy video device (0x0000)", "none", 0);
    let kinds: Vec<(u32, DeviceKind)> =
        machine.devices.list().iter().map(|device| (device.number, device.kind)).collect();
    use DeviceKind::{Camera, Codec, Csi, Metadata};
    let expected = [
        (0, Csi),
        (1, Csi),
        (2, Camera),
        (3, Metadata),
        (10, Codec),
        (13, Codec),
        (14, Csi),
        (19, Codec),
        (20, Codec),
        (30, Camera),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn cameras_are_found_by_number_path_link_and_name() {
    let machine = Machine::new().raspberry_pi_5().webcam();
    let link = machine.devices.dev.join("v4l/by-id/usb-046d_C920-video-index0");
    symlink("../../video2", &link).unwrap();
    let node = machine.devices.dev.join("video2");
    for selector in ["2", "c920", &node.to_string_lossy(), &link.to_string_lossy()] {
        assert_eq!(machine.number(selector), Ok(2), "{selector}");
    }
    assert_eq!(machine.devices.resolve(&Selector::First).unwrap().number, 2);
    assert_eq!(machine.devices.list()[2].links, [link]);
}

#[test]
fn odd_nodes_are_left_alone() {
    let machine = Machine::new().webcam();
    for name in ["video-foo", "video", "video4x"] {
        fs::create_dir(machine.devices.class.join(name)).unwrap();
        fs::write(machine.devices.dev.join(name), "").unwrap();
    }
    assert_eq!(machine.devices.list().len(), 2);
    let odd = machine.devices.dev.join("video-foo");
    let error = machine.number(&odd.to_string_lossy()).unwrap_err();
    assert!(error.contains("is not a camera"), "{error}");
}

#[test]
fn a_missing_camera_is_answered_with_what_there_is() {
    let machine = Machine::new().webcam();
    for selector in ["7", "/dev/v4l/by-id/gone", "Brio"] {
        let error = machine.number(selector).unwrap_err();
        assert!(error.starts_with("there is no "), "{error}");
        assert!(error.contains("video2 (HD Pro Webcam C920)"), "{error}");
    }
    let error = machine.number("3").unwrap_err();
    assert!(error.contains("is a metadata node"), "{error}");
}

#[test]
fn without_a_camera_the_message_says_what_to_do() {
    let empty = Machine::new();
    let error = empty.devices.resolve(&Selector::First).unwrap_err().to_string();
    assert!(error.contains("plug in a USB camera"), "{error}");
    let board = Machine::new().raspberry_pi_5();
    let error = board.devices.resolve(&Selector::First).unwrap_err().to_string();
    assert!(error.contains("rpicam-vid"), "{error}");
    assert!(board.number("0").unwrap_err().contains("rpicam-vid"));
}

#[test]
fn a_node_that_sysfs_does_not_show_is_taken() {
    let machine = Machine::new();
    fs::write(machine.devices.dev.join("video5"), "").unwrap();
    assert_eq!(machine.number("5"), Ok(5));
}
