//! How numbers are written in JSON.

/// Writes a number with four decimals: no similarity, confidence or quality is known better.
pub(crate) fn four_decimals<S: serde::Serializer>(
    value: &f32,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((f64::from(*value) * 1e4).round() / 1e4)
}

/// [`four_decimals`], or null.
pub(crate) fn four_decimals_if_any<S: serde::Serializer>(
    value: &Option<f32>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => four_decimals(value, serializer),
        None => serializer.serialize_none(),
    }
}
