//! `Transpose`, `Reshape`, `Flatten`, `Squeeze` and `Unsqueeze` in ONNX: other views of a value, and nothing
//! to compute.

use tract_onnx::pb::NodeProto;

use super::lowering::{View, is_planes};
use super::recogniser::Recogniser;
use crate::graph::Shape;
use crate::limits::{RANK, product};
use crate::onnx::proto::{axis, input, integer, integers};
use crate::onnx::sizes::reshaped;

/// `Transpose` between plane by plane and channels last.
pub fn transpose(recogniser: &Recogniser<'_>, node: &NodeProto) -> Option<View> {
    let view = recogniser.view(node, 0)?;
    let shape = recogniser.content_shape(&view.content)?;
    let Shape { height, width, channels } = shape;
    let last = [1, height, width, channels];
    let one_order = shape.positions() == 1 || channels == 1;
    let (dims, planes) = match *integers(node, "perm")? {
        [0, 3, 1, 2] if view.dims == last && (!view.planes || one_order) => {
            (vec![1, channels, height, width], true)
        }
        [0, 2, 3, 1] if is_planes(view, shape) => (last.to_vec(), false),
        _ => return None,
    };
    Some(View { dims, planes, content: view.content.clone() })
}

/// `Reshape`, `Flatten`, `Squeeze` and `Unsqueeze`: the order of the elements stays.
pub fn reshape(recogniser: &Recogniser<'_>, node: &NodeProto) -> Option<View> {
    let view = recogniser.view(node, 0)?;
    recogniser.content_shape(&view.content)?;
    let dims = match node.op_type.as_str() {
        "Flatten" => {
            let axis = integer(node, "axis").unwrap_or(1);
            let axis = axis_or_end(axis, view.dims.len())?;
            let (outer, inner) = view.dims.split_at(axis);
            vec![product(outer)?, product(inner)?]
        }
        "Reshape" => {
            let target = recogniser.constants.get(input(node, 1)?)?.integers(RANK)?;
            let copies = integer(node, "allowzero").unwrap_or(0) == 0;
            reshaped(&view.dims, &target, copies)?
        }
        "Squeeze" => {
            let rank = view.dims.len();
            let axes: Option<Vec<usize>> =
                recogniser.listed(node, "axes", 1)?.iter().map(|&at| axis(at, rank)).collect();
            let axes = axes?;
            let kept = (0..rank).filter(|at| !axes.contains(at));
            kept.map(|at| view.dims[at]).collect()
        }
        _ => {
            let axes = recogniser.listed(node, "axes", 1)?;
            let rank = view.dims.len() + axes.len();
            let axes: Option<Vec<usize>> = axes.iter().map(|&at| axis(at, rank)).collect();
            let axes = axes?;
            let mut old = view.dims.iter();
            let dims =
                (0..rank).map(|at| if axes.contains(&at) { Some(1) } else { old.next().copied() });
            dims.collect::<Option<_>>()?
        }
    };
    let same = product(&dims)? == product(&view.dims)?;
    same.then(|| View { dims, ..view.clone() })
}

fn axis_or_end(at: i64, rank: usize) -> Option<usize> {
    if at == rank as i64 { Some(rank) } else { axis(at, rank) }
}
