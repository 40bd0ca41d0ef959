//! `celebcam cameras`: lists the cameras and their formats.

use std::io::{self, Write};

use crate::exit::Exit;
use crate::shown::write_line;
use crate::source::{CSI_ADVICE, Device, DeviceKind, Devices, Selector, formats};

/// Prints every camera with its formats, then the video devices that are none and why.
///
/// # Errors
///
/// [`source::Error::NoCamera`](crate::source::Error::NoCamera) when there is none.
pub fn execute() -> anyhow::Result<Exit> {
    let system = Devices::of_system();
    let (cameras, others): (Vec<Device>, Vec<Device>) =
        system.list().into_iter().partition(|device| device.kind == DeviceKind::Camera);
    let mut out = io::stdout().lock();
    for camera in &cameras {
        print_camera(&mut out, camera)?;
    }
    print_others(&mut out, &others)?;
    out.flush()?;
    system.resolve(&Selector::First)?;
    Ok(Exit::Done)
}

fn print_camera(out: &mut impl Write, camera: &Device) -> io::Result<()> {
    write_line(out, format_args!("{}  {}", camera.node.display(), camera.name))?;
    for link in &camera.links {
        write_line(out, format_args!("    {}", link.display()))?;
    }
    match formats(camera.number) {
        Ok(formats) if formats.is_empty() => writeln!(out, "    lists no format that can be read"),
        Ok(formats) => {
            formats.iter().try_for_each(|format| write_line(out, format_args!("    {format}")))
        }
        Err(error) => write_line(out, format_args!("    {error}")),
    }
}

fn print_others(out: &mut impl Write, others: &[Device]) -> io::Result<()> {
    for device in others {
        let Device { node, name, kind, .. } = device;
        write_line(out, format_args!("{}  {name}: {kind}", node.display()))?;
    }
    if others.iter().any(|device| device.kind == DeviceKind::Csi) {
        writeln!(out, "Read a CSI camera with: {CSI_ADVICE}")?;
    }
    Ok(())
}
