//! `PadChannels`: more channels behind those that are there, of value 0, with the same quantization. In
//! ONNX it is a `Pad`.

use tract_onnx::pb::NodeProto;

use super::compiler::{Compiled, Compiler, codes, expect_shape};
use super::context::{Context, Work};
use super::lowering::{At, Content, View};
use super::recogniser::Recogniser;
#[cfg(test)]
use super::values::{Given, Values};
use crate::error::LayerError;
use crate::graph::{Node, Op, Shape, Tensor};
use crate::limits::RANK;
use crate::onnx::proto::{input, text};

/// `Pad` of dequantized codes with channels of 0 behind the others.
pub fn recognise(recogniser: &mut Recogniser<'_>, at: At<'_>, node: &NodeProto) -> Option<View> {
    let view = recogniser.view(node, 0)?.clone();
    let value = recogniser.codes(&view)?;
    let pads = recogniser.constants.get(input(node, 1)?)?.integers(2 * RANK)?;
    let &[0, 0, 0, 0, 0, more, 0, 0] = &pads[..] else { return None };
    let zero = match input(node, 2) {
        None => true,
        Some(name) => recogniser.scalar(name)? == 0.0,
    };
    let constant = text(node, "mode").is_none_or(|mode| mode == "constant");
    let dequantized = matches!(view.content, Content::Function(..));
    if !zero || !constant || !dequantized || input(node, 3).is_some() {
        return None;
    }
    let Tensor { shape, elements } = recogniser.lowering.tensors[value];
    let channels = shape.channels.checked_add(usize::try_from(more).ok()?)?;
    let result = Tensor { shape: Shape { channels, ..shape }, elements };
    let padded = recogniser.lowering.node(at, Op::PadChannels, &[value], result);
    Some(recogniser.replaced(&view, padded))
}

/// The byte of the channels that are added.
struct PadChannels(u8);

/// Checks the sizes.
pub fn compile(compiler: &Compiler<'_>, node: &Node) -> Result<Compiled, LayerError> {
    let [input, output] = compiler.ends(node);
    let channels = output.shape.channels;
    expect_shape(Shape { channels, ..input.shape } == output.shape)?;
    expect_shape(input.shape.channels <= channels)?;
    expect_shape(codes(input)? == codes(output)?)?;
    Ok(Compiled::new(PadChannels(compiler.encoding().encode(codes(output)?.zero_point))))
}

impl Work for PadChannels {
    fn run(&self, context: &Context<'_>) {
        let (input, channels) = (context.bytes(0), context.place(0).tensor.shape.channels);
        let strides = [context.place(0).stride_bytes, context.output.stride_bytes];
        context.bands(context.share(), &|rows, output| {
            let first = rows.start * context.output.tensor.shape.width;
            for (index, target) in output.chunks_exact_mut(strides[1]).enumerate() {
                let source = &input[(first + index) * strides[0]..][..channels];
                target[..channels].copy_from_slice(source);
                target[channels..].fill(self.0);
            }
        });
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(input: &Given<'_>, output: &Given<'_>) -> Values {
    let zero = input.quantization().zero_point;
    let channels = output.tensor.shape.channels;
    let padded = input
        .codes()
        .chunks(input.tensor.shape.channels)
        .flat_map(|position| (0..channels).map(|channel| *position.get(channel).unwrap_or(&zero)));
    Values::Codes(padded.collect())
}
