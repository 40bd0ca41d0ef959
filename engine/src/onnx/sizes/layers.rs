//! Nodes that sum up: products of matrices, and reductions.

use super::shapes::broadcast;
use super::{Known, Reason, UNFIT, Value};
use crate::limits::product;
use crate::onnx::proto::integer;

impl Known<'_> {
    pub(super) fn gemm(&self) -> Result<Value, Reason> {
        let turned = |index, name| {
            let &[rows, columns] = self.dims(index)? else { return None };
            let turns = integer(self.node, name).unwrap_or(0) != 0;
            Some(if turns { [columns, rows] } else { [rows, columns] })
        };
        let left = turned(0, "transA").ok_or(UNFIT)?;
        let right = turned(1, "transB").ok_or(UNFIT)?;
        let [rows, depth] = left;
        let columns = right[1];
        let bias = match self.dims(2) {
            None | Some([] | [1] | [1, 1]) => true,
            Some(&[length] | &[1, length]) => length == columns,
            Some(&[height, length]) => height == rows && (length == columns || length == 1),
            Some(_) => false,
        };
        if depth != right[0] || !bias {
            return Err(UNFIT);
        }
        Ok(Value::new(vec![rows, columns]).with_operations(Some(depth)))
    }

    pub(super) fn matmul(&self) -> Result<Value, Reason> {
        let (left, right) = (self.first()?, self.dims(1).ok_or(UNFIT)?);
        let (Some((left_outer, &[rows, depth])), Some((right_outer, &[other, columns]))) =
            (left.split_last_chunk(), right.split_last_chunk())
        else {
            return Err(UNFIT);
        };
        if depth != other {
            return Err(UNFIT);
        }
        let outer = broadcast(left_outer, right_outer).ok_or(UNFIT)?;
        let dims = [&outer[..], &[rows, columns]].concat();
        Ok(Value::new(dims).with_operations(Some(depth)))
    }

    pub(super) fn reduce(&self) -> Result<Value, Reason> {
        let dims = self.first()?;
        let all = || (0..dims.len()).collect::<Vec<_>>();
        let nothing = integer(self.node, "noop_with_empty_axes").unwrap_or(0) != 0;
        let axes = match self.axes(dims.len())? {
            Some(axes) if !axes.is_empty() => axes,
            _ if nothing => vec![],
            _ => all(),
        };
        let keeps = integer(self.node, "keepdims").unwrap_or(1) != 0;
        let reduced = (0..dims.len()).filter_map(|at| match axes.contains(&at) {
            true => keeps.then_some(1),
            false => Some(dims[at]),
        });
        let each: Vec<usize> = axes.iter().map(|&at| dims[at]).collect();
        Ok(Value::new(reduced.collect()).with_operations(product(&each)))
    }
}
