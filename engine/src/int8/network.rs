//! A graph made ready for one instruction set: steps with packed weights, and the memory that
//! they run in.

mod budget;
mod compile;
mod memory;
mod step;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::buffer::Buffer;
use super::graph::{Elements, Graph};
use super::isa::Isa;
use super::kernels::Kernels;
use super::pool::Pool;
use crate::Error;
pub use budget::Cost;
use memory::{Memory, Place};
use step::Step;

/// A value that the caller gives, in the order of [`Graph::inputs`].
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Bytes of a picture, channels last.
    Pixels(&'a [u8]),
    /// Floats.
    Floats(&'a [f32]),
}

/// A network that is ready to run. It can be shared between threads; those that run it at the same
/// time get a state each.
pub struct Network {
    kernels: &'static Kernels,
    pool: Pool,
    places: Vec<Place>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    steps: Vec<NamedStep>,
    arena_bytes: usize,
    scratch_bytes: usize,
    cost: Cost,
    stop: Arc<AtomicBool>,
    idle: Mutex<Vec<State>>,
}

struct NamedStep {
    name: String,
    macs: u64,
    step: Step,
}

/// The memory of one run: all values, and a scratch for each thread.
struct State {
    arena: Buffer,
    scratches: Vec<Buffer>,
}

/// What one step did in one run.
#[derive(Clone, Debug)]
pub struct LayerTime {
    /// Name of the layer.
    pub name: String,
    /// Multiplications.
    pub macs: u64,
    /// How long it took.
    pub time: Duration,
}

impl Network {
    /// Makes `graph` ready for `isa` and `threads` threads.
    ///
    /// # Errors
    ///
    /// A sentence when the graph is not one that the kernels can compute, or exceeds the
    /// [limits](crate::limits).
    pub fn new(graph: &Graph, isa: Isa, threads: usize) -> Result<Self, String> {
        let kernels =
            Kernels::of(isa).ok_or_else(|| format!("this processor does not have {isa}"))?;
        let compiled = compile::compile(graph, kernels, threads)?;
        let pool = Pool::new(threads.max(1))
            .map_err(|error| format!("cannot start {threads} threads: {error}"))?;
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
            stop: Arc::default(),
            idle: Mutex::new(Vec::new()),
        };
        let state = network.new_state()?;
        network.give_back(state);
        Ok(network)
    }

    /// Ends runs early, with an error, once `stop` is set.
    #[must_use]
    pub fn stopping_at(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.kernels.isa()
    }

    /// Names of the kernels in use.
    pub fn kernel_names(&self) -> [&'static str; 5] {
        self.kernels.names()
    }

    /// Number of values of each output.
    pub fn output_lengths(&self) -> Vec<usize> {
        self.outputs.iter().map(|&tensor| self.places[tensor].tensor.shape.values()).collect()
    }

    /// Threads of one run.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Multiplications of one run.
    pub fn macs(&self) -> u64 {
        self.steps.iter().map(|step| step.macs).sum()
    }

    /// Bytes of memory that hold the values of one run.
    pub fn arena_bytes(&self) -> usize {
        self.cost.arena_bytes
    }

    /// What it takes.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// Computes `outputs` from `inputs`, both in the order of the graph. Allocates nothing when the
    /// outputs have room and no more runs go on at once than ever before.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] when an input has the wrong kind or length or memory is short, [`Error::Stopped`]
    /// when the run is stopped.
    pub fn run(&self, inputs: &[Input<'_>], outputs: &mut [Vec<f32>]) -> Result<(), Error> {
        self.run_with(inputs, outputs, |_, step| step())
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
        self.run_with(inputs, outputs, |named, step| {
            let started = Instant::now();
            step();
            let time = started.elapsed();
            times.push(LayerTime { name: named.name.clone(), macs: named.macs, time });
        })?;
        Ok(times)
    }

    fn run_with(
        &self,
        inputs: &[Input<'_>],
        outputs: &mut [Vec<f32>],
        mut around: impl FnMut(&NamedStep, &mut dyn FnMut()),
    ) -> Result<(), Error> {
        self.check(inputs, outputs.len()).map_err(Error::Run)?;
        let state = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut state = state.map_or_else(|| self.new_state().map_err(Error::Run), Ok)?;
        let memory = Memory::new(&mut state.arena, &mut state.scratches);
        for (&tensor, input) in self.inputs.iter().zip(inputs) {
            memory.fill(&self.places[tensor], input);
        }
        for named in &self.steps {
            if self.stop.load(Ordering::Relaxed) {
                self.give_back(state);
                return Err(Error::Stopped);
            }
            around(named, &mut || named.step.run(self.kernels, &self.places, &memory, &self.pool));
        }
        for (&tensor, output) in self.outputs.iter().zip(outputs) {
            output.clear();
            output.extend_from_slice(memory.floats(&self.places[tensor]));
        }
        self.give_back(state);
        Ok(())
    }

    fn check(&self, inputs: &[Input<'_>], outputs: usize) -> Result<(), String> {
        if inputs.len() != self.inputs.len() || outputs != self.outputs.len() {
            return Err("the network has another number of inputs or outputs".to_owned());
        }
        for (&tensor, input) in self.inputs.iter().zip(inputs) {
            let place = &self.places[tensor];
            let (fits, length) = match (place.tensor.elements, input) {
                (Elements::Pixels, Input::Pixels(pixels)) => (true, pixels.len()),
                (Elements::Floats, Input::Floats(floats)) => (true, floats.len()),
                _ => (false, 0),
            };
            if !fits || length != place.tensor.shape.values() {
                return Err("an input of the network has the wrong kind or length".to_owned());
            }
        }
        Ok(())
    }

    fn new_state(&self) -> Result<State, String> {
        let buffer = |bytes| {
            Buffer::try_zeroed(bytes)
                .ok_or_else(|| format!("there is no memory for the {bytes} bytes that it needs"))
        };
        let scratches = (0..self.pool.threads()).map(|_| buffer(self.scratch_bytes));
        Ok(State {
            arena: buffer(self.arena_bytes)?,
            scratches: scratches.collect::<Result<_, _>>()?,
        })
    }

    fn give_back(&self, state: State) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(state);
    }
}
