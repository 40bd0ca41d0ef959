//! A region of codes as an operation of tract.

use std::fmt;
use std::sync::Arc;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::{op_as_typed_op, op_out_of_plan};
use tract_onnx::tract_hir::internal::*;

use crate::arena::Input;
use crate::error::Error;
use crate::graph::Elements;
use crate::lower::{Region, region_name};
use crate::network::Network;
use crate::ops::cost::Cost;
use crate::settings::Settings;

/// The model of `rest`, with `regions` in the nodes that stand for them.
///
/// # Errors
///
/// When tract does not understand `rest`, a region cannot be computed, or all of them exceed the
/// [limits](crate::limits).
pub fn model(
    rest: &ModelProto,
    regions: &[Region],
    settings: &Settings,
) -> TractResult<InferenceModel> {
    let mut model = tract_onnx::onnx().model_for_proto_model(rest)?;
    let mut cost = Cost::default();
    for (index, region) in regions.iter().enumerate() {
        let region = Int8Region::new(region, settings).map_err(said)?;
        cost = cost.plus(region.network.cost());
        cost.check().map_err(TractError::msg)?;
        model.node_by_name_mut(region_name(index))?.op = expand(region);
    }
    Ok(model)
}

/// Our own error as tract passes it on.
fn said(error: Error) -> TractError {
    TractError::msg(error.to_string())
}

/// Computes a region: float32 or pixels in, float32 out, of fixed sizes.
#[derive(Clone)]
struct Int8Region {
    network: Arc<Network>,
    /// Which inputs are pixels.
    pixels: Vec<bool>,
    /// Shapes of the outputs.
    outputs: Vec<Vec<usize>>,
}

impl Int8Region {
    fn new(region: &Region, settings: &Settings) -> Result<Self, Error> {
        let network = Network::new(&region.graph, settings)?;
        let graph = &region.graph;
        let inputs = graph.inputs.iter();
        Ok(Self {
            network: Arc::new(network),
            pixels: inputs.map(|&id| graph.tensors[id].elements == Elements::Pixels).collect(),
            outputs: region.outputs.iter().map(|output| output.dims.clone()).collect(),
        })
    }
}

impl fmt::Debug for Int8Region {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Int8Region").field("outputs", &self.outputs).finish_non_exhaustive()
    }
}

impl PartialEq for Int8Region {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.network, &other.network)
    }
}

impl Eq for Int8Region {}

impl Expansion for Int8Region {
    fn name(&self) -> StaticName {
        "Int8Region".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.outputs.len())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, self.pixels.len())?;
        check_output_arity(outputs, self.outputs.len())?;
        for (output, dims) in outputs.iter().zip(&self.outputs) {
            let dims: TVec<TDim> = dims.iter().map(|dim| dim.to_dim()).collect();
            solver.equals(&output.datum_type, f32::datum_type())?;
            solver.equals(&output.shape, dims)?;
        }
        Ok(())
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for Int8Region {
    fn name(&self) -> StaticName {
        "Int8Region".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Int8Region {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let floats: Vec<_> = inputs
            .iter()
            .zip(&self.pixels)
            .map(
                |(input, &pixels)| {
                    if pixels { Ok(None) } else { input.cast_to::<f32>().map(Some) }
                },
            )
            .collect::<TractResult<_>>()?;
        let given: Vec<Input<'_>> = inputs
            .iter()
            .zip(&floats)
            .map(|(input, floats)| {
                Ok(match floats {
                    Some(floats) => Input::Floats(floats.try_as_plain_ram()?.as_slice::<f32>()?),
                    None => Input::Pixels(input.try_as_plain_ram()?.as_slice::<u8>()?),
                })
            })
            .collect::<TractResult<_>>()?;
        let mut results = vec![Vec::new(); self.outputs.len()];
        self.network.run(&given, &mut results).map_err(said)?;
        results
            .iter()
            .zip(&self.outputs)
            .map(|(values, dims)| Ok(Tensor::from_shape(dims, values)?.into_tvalue()))
            .collect()
    }
}

impl TypedOp for Int8Region {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.outputs.iter().map(f32::fact).collect())
    }

    as_op!();
}
