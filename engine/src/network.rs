//! A graph made ready for one instruction set: steps with packed weights, and the memory that
//! they run in.

mod compile;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::arena::{Input, Memory, Place};
use crate::buffer::Buffer;
use crate::error::{Error, RunError};
use crate::graph::{Elements, Graph};
use crate::kernels::Kernels;
use crate::ops::context::{Context, Work};
use crate::ops::cost::Cost;
use crate::pool::Pool;
use crate::settings::Settings;

/// A network that is ready to run. It can be shared between threads; those that run it at the same
/// time get a workspace each.
pub struct Network {
    kernels: &'static Kernels,
    pool: Pool,
    places: Vec<Place>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    steps: Vec<Step>,
    arena_bytes: usize,
    scratch_bytes: usize,
    cost: Cost,
    stop: Arc<AtomicBool>,
    idle: Mutex<Vec<Workspace>>,
}

/// A compiled node, or two that are computed together; numbers are positions in the list of places.
struct Step {
    name: String,
    macs: u64,
    inputs: Vec<usize>,
    output: usize,
    work: Box<dyn Work>,
}

/// The memory of one run: all values, and a scratch for each thread.
struct Workspace {
    arena: Buffer,
    scratches: Vec<Buffer>,
}

/// How long one layer took in one run, or two that are computed together.
#[derive(Clone, Debug)]
pub struct LayerTime {
    /// Name of the layer; both with a plus between them where there are two.
    pub name: String,
    /// Multiplications of one run.
    pub macs: u64,
    /// The time from its start to its end.
    pub time: Duration,
}

impl Network {
    /// Makes `graph` ready to run.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] when the graph is not one that the kernels can compute, or exceeds the
    /// [limits](crate::limits); [`Error::Threads`] and [`Error::Memory`] when these are short.
    pub fn new(graph: &Graph, settings: &Settings) -> Result<Self, Error> {
        let (kernels, threads) = (settings.kernels(), settings.threads());
        let compiled = compile::compile(graph, kernels, threads)?;
        let pool = Pool::new(threads).map_err(|source| Error::Threads { threads, source })?;
        let network = Self {
            kernels,
            pool,
            places: compiled.places,
            inputs: graph.inputs.clone(),
            outputs: graph.outputs.clone(),
            steps: compiled.steps,
            arena_bytes: compiled.arena_bytes,
            scratch_bytes: compiled.scratch_bytes,
            cost: compiled.cost,
            stop: Arc::clone(settings.stop()),
            idle: Mutex::new(Vec::new()),
        };
        let workspace = network.new_workspace()?;
        network.give_back(workspace);
        Ok(network)
    }

    /// Names of the kernels in use.
    pub fn kernel_names(&self) -> [&'static str; 5] {
        self.kernels.names()
    }

    /// Number of values of each output.
    pub fn output_lengths(&self) -> Vec<usize> {
        self.outputs.iter().map(|&tensor| self.places[tensor].tensor.shape.values()).collect()
    }

    /// Multiplications of one run.
    pub fn macs(&self) -> u64 {
        self.steps.iter().map(|step| step.macs).sum()
    }

    /// The operations of a run and the memory that the network takes.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Computes `outputs` from `inputs`, both in the order of the graph. Allocates nothing when the
    /// outputs have room and no more runs go on at once than ever before.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] when an input has the wrong kind or length, [`Error::Memory`] when memory is short,
    /// [`Error::Stopped`] when the run is stopped.
    pub fn run(&self, inputs: &[Input<'_>], outputs: &mut [Vec<f32>]) -> Result<(), Error> {
        self.run_with(inputs, outputs, |_, run| run())
    }

    /// As [`run`](Self::run), and gives the time of each layer.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_timed(
        &self,
        inputs: &[Input<'_>],
        outputs: &mut [Vec<f32>],
    ) -> Result<Vec<LayerTime>, Error> {
        let mut times = Vec::with_capacity(self.steps.len());
        self.run_with(inputs, outputs, |step, run| {
            let started = Instant::now();
            run();
            let time = started.elapsed();
            times.push(LayerTime { name: step.name.clone(), macs: step.macs, time });
        })?;
        Ok(times)
    }

    fn run_with(
        &self,
        inputs: &[Input<'_>],
        outputs: &mut [Vec<f32>],
        mut around: impl FnMut(&Step, &mut dyn FnMut()),
    ) -> Result<(), Error> {
        self.check(inputs, outputs.len())?;
        let workspace = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut workspace = workspace.map_or_else(|| self.new_workspace(), Ok)?;
        let memory = Memory::new(&mut workspace.arena, &mut workspace.scratches);
        for (&tensor, input) in self.inputs.iter().zip(inputs) {
            memory.fill(&self.places[tensor], input);
        }
        for step in &self.steps {
            if self.stop.load(Ordering::Relaxed) {
                self.give_back(workspace);
                return Err(Error::Stopped);
            }
            let context = Context {
                kernels: self.kernels,
                places: &self.places,
                inputs: &step.inputs,
                output: &self.places[step.output],
                memory: &memory,
                pool: &self.pool,
            };
            around(step, &mut || step.work.run(&context));
        }
        for (&tensor, output) in self.outputs.iter().zip(outputs) {
            output.clear();
            output.extend_from_slice(memory.floats(&self.places[tensor]));
        }
        self.give_back(workspace);
        Ok(())
    }

    fn check(&self, inputs: &[Input<'_>], outputs: usize) -> Result<(), RunError> {
        if inputs.len() != self.inputs.len() || outputs != self.outputs.len() {
            return Err(RunError::Count);
        }
        for (&tensor, input) in self.inputs.iter().zip(inputs) {
            let place = &self.places[tensor];
            let (fits, length) = match (place.tensor.elements, input) {
                (Elements::Pixels, Input::Pixels(pixels)) => (true, pixels.len()),
                (Elements::Floats, Input::Floats(floats)) => (true, floats.len()),
                _ => (false, 0),
            };
            if !fits || length != place.tensor.shape.values() {
                return Err(RunError::Input);
            }
        }
        Ok(())
    }

    fn new_workspace(&self) -> Result<Workspace, Error> {
        let buffer = |bytes| Buffer::try_zeroed(bytes).ok_or(Error::Memory { bytes });
        let scratches = (0..self.pool.threads()).map(|_| buffer(self.scratch_bytes));
        Ok(Workspace {
            arena: buffer(self.arena_bytes)?,
            scratches: scratches.collect::<Result<_, _>>()?,
        })
    }

    fn give_back(&self, workspace: Workspace) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
    }
}
