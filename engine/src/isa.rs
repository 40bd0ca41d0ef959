//! Instruction sets that there are kernels for.

use std::fmt;

/// An instruction set. Those of one architecture are ordered from the least to the most capable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Plain Rust, on every processor: the reference.
    Scalar,
    /// 64-bit ARM: Cortex-A53, A72.
    Neon,
    /// 64-bit ARM with the dot product instructions: Cortex-A55, A76.
    NeonDotprod,
    /// x86-64 with AVX2.
    Avx2,
    /// x86-64 with AVX-512 and its VNNI instructions.
    Avx512Vnni,
}

impl Isa {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Scalar, Self::Neon, Self::NeonDotprod, Self::Avx2, Self::Avx512Vnni];

    /// Name in logs, in `CELEBCAM_ISA` and at the end of the kernels' names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::NeonDotprod => "neon_dotprod",
            Self::Avx2 => "avx2",
            Self::Avx512Vnni => "avx512_vnni",
        }
    }

    /// Whether this processor has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "aarch64")]
            Self::NeonDotprod => std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            _ => false,
        }
    }

    /// Those that this processor has, the best one last.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available())
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
