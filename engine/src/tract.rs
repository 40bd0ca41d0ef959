//! What is not lowered: tract loads and runs it, and calls a [`Network`](crate::network::Network) for each
//! part that is.

mod region;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::ops::unimpl::UnimplementedOp;

use crate::error::{ModelError, TractError as Failure};
use crate::lower::Region;
use crate::settings::Settings;
use crate::text::{SENTENCE_LENGTH, shortened};

/// A graph that tract runs, with quantized regions in it.
pub struct Plan(Arc<TypedRunnableModel>);

impl Plan {
    /// Makes `rest` ready to run, with `regions` in the nodes that stand for them.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tract`] when tract does not understand `rest`, a region cannot be computed, or all
    /// regions together exceed the [limits](crate::limits).
    pub fn new(
        rest: &ModelProto,
        regions: &[Region],
        settings: &Settings,
    ) -> Result<Self, ModelError> {
        let model = guarded(|| region::model(rest, regions, settings))?;
        let unknown = model.nodes.iter().find_map(|node| node.op_as::<UnimplementedOp>());
        if let Some(operation) = unknown {
            let said = operation.name();
            let name = said.strip_prefix("Unimplemented(").and_then(|name| name.strip_suffix(')'));
            let name = shortened(name.unwrap_or(&said), SENTENCE_LENGTH).into_owned();
            return Err(Failure::UnknownOperation(name).into());
        }
        Ok(Self(guarded(|| model.into_optimized()?.into_runnable())?))
    }

    /// Number of values of each output.
    ///
    /// # Errors
    ///
    /// [`ModelError`] when an output has no fixed size or is not float32.
    pub fn output_lengths(&self) -> Result<Vec<usize>, ModelError> {
        let model = self.0.model();
        let length = |&outlet| {
            let fact = model.outlet_fact(outlet).map_err(|error| in_short(&error))?;
            let shape = fact.shape.as_concrete().ok_or(ModelError::OutputSize)?;
            if fact.datum_type != f32::datum_type() {
                return Err(ModelError::OutputType);
            }
            Ok(shape.iter().product())
        };
        model.outputs.iter().map(length).collect()
    }

    /// Computes the outputs of a picture of this height and width.
    ///
    /// # Errors
    ///
    /// What tract said.
    pub fn run(
        &self,
        (height, width): (u32, u32),
        rgb: &[u8],
        outputs: &mut [Vec<f32>],
    ) -> Result<(), Failure> {
        let failed = |error: TractError| in_short(&error);
        let shape = [1, height as usize, width as usize, 3];
        let image = Tensor::from_shape(&shape, rgb).map_err(failed)?;
        let values = guarded(|| self.0.run(tvec!(image.into_tvalue())))?;
        for (output, value) in outputs.iter_mut().zip(values) {
            output.clear();
            output.extend(value.to_plain_array_view::<f32>().map_err(failed)?.iter());
        }
        Ok(())
    }
}

/// What tract does, or what it said in short. It asserts on some graphs that nobody meant for it.
fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| in_short(&error)),
        Err(_) => Err(Failure::Panicked),
    }
}

/// What tract said, which can be as long as the model.
fn in_short(error: &TractError) -> Failure {
    Failure::Refused(shortened(&format!("{error:#}"), SENTENCE_LENGTH).into_owned())
}
