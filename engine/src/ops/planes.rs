//! `PlanesToPositions` and `PositionsToPlanes`: floats from ONNX's order, plane by plane, to channels
//! last and back. They stand at the borders of a region; no ONNX node is one.

use super::compiler::{Compiled, Compiler, expect_floats, expect_shape};
use super::context::{Context, Work};
#[cfg(test)]
use super::values::{Given, Values};
use crate::error::LayerError;
use crate::graph::Node;

/// The order that values are brought into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// Channels last.
    Positions,
    /// Channel by channel.
    Planes,
}

/// Checks the sizes.
pub fn compile(compiler: &Compiler<'_>, node: &Node, to: To) -> Result<Compiled, LayerError> {
    let [input, output] = compiler.ends(node);
    expect_floats(&[input, output])?;
    expect_shape(input.shape == output.shape)?;
    Ok(Compiled::new(to))
}

impl Work for To {
    fn run(&self, context: &Context<'_>) {
        let input = context.floats(0);
        let shape = context.output.tensor.shape;
        let [rows, columns] = match self {
            Self::Positions => [shape.channels, shape.positions()],
            Self::Planes => [shape.positions(), shape.channels],
        };
        context.fill_floats(|output| {
            for row in 0..rows {
                for column in 0..columns {
                    output[column * rows + row] = input[row * columns + column];
                }
            }
        });
    }
}

/// The oracle.
#[cfg(test)]
pub fn reference(to: To, input: &Given<'_>) -> Values {
    let shape = input.tensor.shape;
    let columns = if to == To::Positions { shape.positions() } else { shape.channels };
    let values = input.floats();
    let rows = values.len() / columns;
    let value = |at: usize| values[at % rows * columns + at / rows];
    Values::Floats((0..values.len()).map(value).collect())
}
