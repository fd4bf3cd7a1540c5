//! Vector extensions: which this CPU has, and functions that run only with a proof of them.
//!
//! [`Avx2`] and [`Avx512`] are proof tokens. Only [`Cpu::detect`] creates them, after it has checked the CPU. Each function that is
//! compiled for an extension takes the extension's token by value, so a call without detection does not compile.

/// Proof that this CPU has AVX2, BMI1 and BMI2: 256-bit vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg(target_arch = "x86_64")]
pub(crate) struct Avx2(());

/// Proof that this CPU has AVX-512 F, BW, VL and DQ in addition to [`Avx2`]: 512-bit vectors and 32 registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg(target_arch = "x86_64")]
pub(crate) struct Avx512(());

/// The widest vectors of this CPU that the kernels have code for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cpu {
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// The baseline of the target: SSE2 or NEON.
    Baseline,
}

impl Cpu {
    /// Detects the CPU. The standard library caches the result.
    #[inline]
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2");
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
            {
                return Self::Avx512(Avx512(()));
            }
            if avx2 {
                return Self::Avx2(Avx2(()));
            }
        }
        Self::Baseline
    }

    /// The proof of 256-bit vectors, which each CPU with 512-bit vectors has too.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(crate) fn avx2(self) -> Option<Avx2> {
        match self {
            Self::Avx512(Avx512(())) => Some(Avx2(())),
            Self::Avx2(proof) => Some(proof),
            Self::Baseline => None,
        }
    }
}

/// Defines a function that is compiled for a vector extension. The first parameter is the extension's proof token.
///
/// ```text
/// vector_fn! { Avx2: fn name[P: Trait][P](proof; argument: Type) -> Type { body } }
/// ```
///
/// The second list names the generic parameters of the first. Calls of intrinsics in the body are safe.
#[cfg(target_arch = "x86_64")]
macro_rules! vector_fn {
    (Avx512: $($function:tt)*) => {
        crate::cpu::vector_fn! { @enable ("avx512f,avx512bw,avx512vl,avx512dq,avx2,bmi1,bmi2") (crate::cpu::Avx512) $($function)* }
    };
    (Avx2: $($function:tt)*) => {
        crate::cpu::vector_fn! { @enable ("avx2,bmi1,bmi2") (crate::cpu::Avx2) $($function)* }
    };
    (
        @enable ($features:literal) ($token:ty)
        fn $name:ident[$($decl:tt)*][$($use:tt)*]($proof:ident; $($arg:ident: $type:ty),* $(,)?) -> $ret:ty $body:block
    ) => {
        #[inline(always)]
        fn $name<$($decl)*>($proof: $token, $($arg: $type),*) -> $ret {
            #[target_feature(enable = $features)]
            fn enabled<$($decl)*>($proof: $token, $($arg: $type),*) -> $ret $body
            // SAFETY: the token exists, so `Cpu::detect` found each of these features.
            unsafe { enabled::<$($use)*>($proof, $($arg),*) }
        }
    };
}
#[cfg(target_arch = "x86_64")]
pub(crate) use vector_fn;

/// Compiles a kernel three times, for AVX-512, for AVX2 and for the baseline, and calls the widest that this CPU has. The body is the
/// same, and Rust neither reorders nor contracts floating-point arithmetic, so all three write the same bytes.
///
/// ```text
/// by_cpu! { fn name[P: Trait, const N: usize](argument: Type) -> Type { body } }
/// ```
macro_rules! by_cpu {
    (@type [$($decl:tt)*][$($use:tt)*] $name:ident ($($arg:ident: $type:ty),*) -> $ret:ty, $body:block) => {
        fn $name<$($decl)*>($($arg: $type),*) -> $ret {
            // Inlined into each of the functions below, where the compiler may use the function's features.
            #[inline(always)]
            fn body<$($decl)*>($($arg: $type),*) -> $ret $body
            #[cfg(target_arch = "x86_64")]
            {
                crate::cpu::vector_fn! {
                    Avx512: fn avx512[$($decl)*][$($use)*](_proof; $($arg: $type),*) -> $ret { body::<$($use)*>($($arg),*) }
                }
                crate::cpu::vector_fn! {
                    Avx2: fn avx2[$($decl)*][$($use)*](_proof; $($arg: $type),*) -> $ret { body::<$($use)*>($($arg),*) }
                }
                match crate::cpu::Cpu::detect() {
                    crate::cpu::Cpu::Avx512(proof) => return avx512::<$($use)*>(proof, $($arg),*),
                    crate::cpu::Cpu::Avx2(proof) => return avx2::<$($use)*>(proof, $($arg),*),
                    crate::cpu::Cpu::Baseline => {}
                }
            }
            body::<$($use)*>($($arg),*)
        }
    };
    (fn $name:ident[$P:ident: $bound:path, const $K:ident: usize] ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        crate::cpu::by_cpu! { @type [$P: $bound, const $K: usize][$P, $K] $name ($($arg: $type),*) -> crate::cpu::by_cpu!(@ret $($ret)?), $body }
    };
    (fn $name:ident[$P:ident: $bound:path] ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        crate::cpu::by_cpu! { @type [$P: $bound][$P] $name ($($arg: $type),*) -> crate::cpu::by_cpu!(@ret $($ret)?), $body }
    };
    (fn $name:ident ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        crate::cpu::by_cpu! { @type [][] $name ($($arg: $type),*) -> crate::cpu::by_cpu!(@ret $($ret)?), $body }
    };
    (@ret $ret:ty) => { $ret };
    (@ret) => { () };
}
pub(crate) use by_cpu;
