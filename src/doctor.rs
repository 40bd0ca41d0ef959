//! `celebcam doctor`: looks at everything that a run needs and says what to do about what is missing.
//! Each check is a file of its own.

use std::cell::OnceCell;

use celebcam_engine::Settings;

use crate::exit::Exit;
use crate::settings::{DoctorConfig, Setup};
use crate::source::Device;
use crate::system::service::{self, Hangup, StatusRequest};
use crate::system::stop::StopFlag;
use crate::types::frame::Frame;

mod cameras;
mod clock;
mod finding;
mod frame;
mod gallery;
mod holder;
mod inference;
mod memory;
mod models;
mod permission;
mod processor;
mod report;
mod settings;
mod space;
mod system;
mod temperature;
mod upright;

use finding::{Finding, Status};
use models::Models;
use report::Report;
use system::System;
#[cfg(test)]
use system::tests;

/// A check: its name, and what makes it.
type Check = (&'static str, fn(&Checkup<'_>) -> Finding);

/// The checks, in the order of their lines. The models are measured on a picture of the source, which is
/// taken before it is told of.
const CHECKS: [Check; 12] = [
    ("settings", settings::check),
    ("models", models::check),
    ("gallery", gallery::check),
    ("processor", |checkup| checkup.processor().1.clone()),
    ("inference", inference::check),
    ("cameras", |checkup| checkup.camera().0.clone()),
    ("permission", |checkup| checkup.permission().clone()),
    ("frame", frame::check),
    ("space", space::check),
    ("memory", memory::check),
    ("temperature", temperature::check),
    ("clock", clock::check),
];

/// Prints a line for each check. All are made, whatever the ones before have found; the exit code is
/// that of the first failure.
///
/// # Errors
///
/// An output that cannot be written.
pub fn execute(config: DoctorConfig) -> anyhow::Result<Exit> {
    let (hangup, status) = (Hangup::Stop, StatusRequest::default());
    let stop = service::stop_on_signal(hangup, status, Exit::FORCED.code())?;
    let mut report = Report::new(config.format);
    let checkup = Checkup::new(&config, System::default(), stop);
    for (name, check) in CHECKS {
        let finding = check(&checkup);
        if checkup.stop.is_set() {
            return Ok(Exit::Done);
        }
        report.add(name, finding)?;
    }
    Ok(report.finish()?)
}

/// What the checks look at, and what more than one of them needs, which is looked at once.
struct Checkup<'a> {
    config: &'a DoctorConfig,
    system: System,
    stop: StopFlag,
    processor: OnceCell<(Settings, Finding)>,
    models: OnceCell<Models>,
    camera: OnceCell<(Finding, Option<Device>)>,
    permission: OnceCell<Finding>,
    frame: OnceCell<(Finding, Option<Frame>)>,
}

impl<'a> Checkup<'a> {
    fn new(config: &'a DoctorConfig, system: System, stop: StopFlag) -> Self {
        Self {
            config,
            system,
            stop,
            processor: OnceCell::new(),
            models: OnceCell::new(),
            camera: OnceCell::new(),
            permission: OnceCell::new(),
            frame: OnceCell::new(),
        }
    }

    fn setup(&self) -> &'a Setup {
        &self.config.setup
    }

    /// How models are run, and what was found of the processor.
    fn processor(&self) -> &(Settings, Finding) {
        self.processor.get_or_init(|| {
            let (engine, finding) = processor::check(self.setup().threads, &self.system);
            // A signal ends the work on a picture too.
            (engine.with_stop(self.stop.shared()), finding)
        })
    }

    fn models(&self) -> &Models {
        let load = || Models::load(&self.setup().observer, &self.processor().0);
        self.models.get_or_init(load)
    }

    /// What was found of the cameras, and the one that the source reads.
    fn camera(&self) -> &(Finding, Option<Device>) {
        self.camera.get_or_init(|| cameras::look(self.setup().source.as_ref()))
    }

    fn device(&self) -> Option<&Device> {
        self.camera().1.as_ref()
    }

    fn permission(&self) -> &Finding {
        let source = self.setup().source.as_ref();
        self.permission.get_or_init(|| permission::look(source, self.device(), &self.system))
    }

    /// What was found of the source, and a picture of it.
    fn frame(&self) -> &(Finding, Option<Frame>) {
        self.frame.get_or_init(|| {
            let waiting = report::wait(self.config.format, "waiting for a picture");
            let found = frame::look(self);
            waiting.finish_and_clear();
            found
        })
    }

    fn picture(&self) -> Option<&Frame> {
        self.frame().1.as_ref()
    }
}
