//! How alike two embeddings are.

/// Cosine of two vectors of length 1.
pub fn unit_cosine(a: &[f32], b: &[f32]) -> f32 {
    dot(a, b)
}

/// Cosine of two vectors of any length; `None` where one of them is empty or zero.
pub fn cosine(a: &[f32], b: &[f32]) -> Option<f32> {
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    (lengths > 0.0).then(|| dot(a, b) / lengths)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_does_not_count_for_the_cosine() {
        assert_eq!(unit_cosine(&[0.6, 0.8], &[0.6, 0.8]), 1.0);
        assert_eq!(cosine(&[2.0, 0.0], &[0.5, 0.0]), Some(1.0));
        assert_eq!(cosine(&[2.0, 0.0], &[0.0, 3.0]), Some(0.0));
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 0.0]), None);
        assert_eq!(cosine(&[], &[1.0, 0.0]), None);
    }
}
