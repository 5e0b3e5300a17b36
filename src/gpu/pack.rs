//! Between a host array of any strides and the elements of a device buffer.

use std::borrow::Cow;

use bytemuck::Pod;
use ndarray::{ArrayD, ArrayViewD, Dimension, IxDyn};

use super::GpuError;
use crate::problem::{TensorLayout, to_usize};

/// The logical axes in memory order if the layout has neither gaps nor overlaps.
fn dense_order(layout: &TensorLayout) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..layout.strides.len()).collect();
    // An axis of one cell is never stepped along: its stride says nothing.
    let stride = |a: usize| if layout.extents[a] > 1 { layout.strides[a] } else { u64::MAX };
    order.sort_by_key(|&a| std::cmp::Reverse(stride(a)));
    let mut below = 1;
    for &axis in order.iter().rev() {
        if layout.extents[axis] > 1 && layout.strides[axis] != below {
            return None;
        }
        below *= layout.extents[axis];
    }
    Some(order)
}

fn place(index: &IxDyn, layout: &TensorLayout) -> usize {
    let steps = index.as_array_view();
    steps.iter().zip(&layout.strides).map(|(&i, &s)| i * to_usize(s)).sum()
}

/// An empty vector with room for `count` elements; a size that there is no memory for is an error and no abort.
pub(super) fn with_room<T>(what: &str, count: usize) -> Result<Vec<T>, GpuError> {
    let mut elements = Vec::new();
    let none = |_| GpuError::OutOfMemory { what: format!("a copy of the {what} on the host") };
    elements.try_reserve_exact(count).map_err(none)?;
    Ok(elements)
}

/// The elements of `view` as `layout` has them in memory; gaps are zero.
pub(super) fn pack<'a, T: Pod + PartialEq>(
    role: &'static str,
    view: ArrayViewD<'a, T>,
    layout: &TensorLayout,
) -> Result<Cow<'a, [T]>, GpuError> {
    if layout.is_empty() {
        return Ok(Cow::Owned(Vec::new()));
    }
    if let Some(order) = dense_order(layout) {
        let view = view.permuted_axes(order);
        return Ok(match view.to_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => {
                let mut elements = with_room(role, view.len())?;
                elements.extend(view.iter().copied());
                Cow::Owned(elements)
            }
        });
    }
    let mut elements = with_room(role, to_usize(layout.span))?;
    elements.resize(to_usize(layout.span), T::zeroed());
    for (index, &value) in view.indexed_iter() {
        elements[place(&index, layout)] = value;
    }
    // Where elements share a place the last one won: all of them must be that value.
    let kept = |(index, value): (IxDyn, &T)| {
        let place = &elements[place(&index, layout)];
        bytemuck::bytes_of(place) == bytemuck::bytes_of(value) || place == value
    };
    if !view.indexed_iter().all(kept) {
        return Err(GpuError::LossyLayout { role });
    }
    Ok(Cow::Owned(elements))
}

/// The array that `elements` hold in `layout`; its memory order is the layout's where that is dense.
pub(super) fn unpack<T: Pod>(elements: Vec<T>, layout: &TensorLayout) -> Result<ArrayD<T>, GpuError> {
    let shape = layout.shape();
    if layout.is_empty() {
        return Ok(ArrayD::from_elem(shape, T::zeroed()));
    }
    let Some(order) = dense_order(layout) else {
        with_room::<T>("result", to_usize(layout.len()))?;
        return Ok(ArrayD::from_shape_fn(shape, |index| elements[place(&index, layout)]));
    };
    let in_memory: Vec<usize> = order.iter().map(|&a| shape[a]).collect();
    let mut back = vec![0; order.len()];
    for (position, &axis) in order.iter().enumerate() {
        back[axis] = position;
    }
    Ok(match ArrayD::from_shape_vec(in_memory, elements) {
        Ok(array) => array.permuted_axes(back),
        // A dense layout has as many elements as its extents say.
        Err(_) => ArrayD::from_elem(shape, T::zeroed()),
    })
}
