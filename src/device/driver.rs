//! NVIDIA's driver (`libcuda.so.1`), asked without libtorch: versions, names and memory of the GPUs.
//!
//! libtorch reports a driver that does not fit as a GPU that does not exist. The functions here are
//! documented in the CUDA Driver API; none but [`Driver::memory`] uses a GPU.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use libloading::{Library, Symbol};

use super::library_error;

/// Error code of `cuInit`: there is no GPU, or none is visible.
const NO_DEVICE: c_int = 100;
/// Attributes of `cuDeviceGetAttribute`.
const CAPABILITY_MAJOR: c_int = 75;
const CAPABILITY_MINOR: c_int = 76;

/// The driver of this machine.
#[derive(Debug)]
pub(super) struct Driver {
    library: Library,
}

/// A GPU as the driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Product name, such as `NVIDIA H200`.
    pub name: String,
    /// Compute capability, such as (9, 0): the version of its instructions.
    pub capability: (i32, i32),
    /// All its memory in bytes, if it is known.
    pub memory: Option<u64>,
}

/// Memory of a GPU in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GpuMemory {
    /// Memory that no process uses.
    pub free: u64,
    /// All memory.
    pub total: u64,
}

/// Reason why the driver does not start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StartError {
    /// It works, but there is no GPU.
    NoGpu,
    Failed(String),
}

impl Driver {
    /// The driver, which is never unloaded.
    ///
    /// # Errors
    /// The message of the system's loader if there is no driver, or if it cannot be loaded.
    pub(super) fn get() -> Result<&'static Driver, &'static str> {
        static DRIVER: OnceLock<Result<Driver, String>> = OnceLock::new();
        let driver = DRIVER.get_or_init(|| {
            // SAFETY: loading runs the initialisers of NVIDIA's driver, which any CUDA program does.
            let library = unsafe { Library::new("libcuda.so.1") };
            let library = library.map_err(library_error)?;
            Ok(Driver { library })
        });
        driver.as_ref().map_err(String::as_str)
    }

    /// Starts the driver. This uses no GPU.
    ///
    /// # Errors
    /// [`StartError`].
    pub(super) fn start(&self) -> Result<(), StartError> {
        type Init = unsafe extern "C" fn(c_uint) -> c_int;
        let init = self.function::<Init>(b"cuInit\0");
        let init = init.map_err(|error| StartError::Failed(library_error(error)))?;
        // SAFETY: the argument must be 0.
        match unsafe { init(0) } {
            0 => Ok(()),
            NO_DEVICE => Err(StartError::NoGpu),
            code => {
                let text = self.error_text(code).unwrap_or_default();
                Err(StartError::Failed(format!("{text} (error {code})")))
            }
        }
    }

    /// The newest CUDA version that the driver supports: 13000 is 13.0.
    pub(super) fn cuda_version(&self) -> Option<i64> {
        type Version = unsafe extern "C" fn(*mut c_int) -> c_int;
        let version = self.function::<Version>(b"cuDriverGetVersion\0").ok()?;
        let mut number = 0;
        // SAFETY: the function writes one number.
        (unsafe { version(&mut number) } == 0).then(|| i64::from(number))
    }

    /// A GPU by its index among the visible GPUs.
    pub(super) fn gpu(&self, index: usize) -> Option<Gpu> {
        type Name = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
        type Attribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int;
        type Memory = unsafe extern "C" fn(*mut usize, c_int) -> c_int;
        let device = self.device(index)?;
        let name = self.function::<Name>(b"cuDeviceGetName\0").ok()?;
        let attribute = self.function::<Attribute>(b"cuDeviceGetAttribute\0").ok()?;
        let mut text: [c_char; 256] = [0; 256];
        // SAFETY: `text` has the given size, and the last byte stays zero.
        let is_named = unsafe { name(text.as_mut_ptr(), 255, device) } == 0;
        // SAFETY: `text` ends with a zero.
        let text = unsafe { CStr::from_ptr(text.as_ptr()) };
        let number = |which| {
            let mut number = 0;
            // SAFETY: the function writes one number.
            (unsafe { attribute(&mut number, which, device) } == 0).then_some(number)
        };
        let memory = || {
            let memory = self.function::<Memory>(b"cuDeviceTotalMem_v2\0").ok()?;
            let mut bytes = 0;
            // SAFETY: the function writes one number.
            (unsafe { memory(&mut bytes, device) } == 0).then_some(bytes as u64)
        };
        is_named.then_some(Gpu {
            memory: memory(),
            name: text.to_string_lossy().into_owned(),
            capability: (number(CAPABILITY_MAJOR)?, number(CAPABILITY_MINOR)?),
        })
    }

    /// Memory of a GPU, with the context of libtorch, which this process has already if it uses the
    /// GPU.
    pub(super) fn memory(&self, index: usize) -> Option<GpuMemory> {
        type Retain = unsafe extern "C" fn(*mut *mut c_void, c_int) -> c_int;
        type Push = unsafe extern "C" fn(*mut c_void) -> c_int;
        type Pop = unsafe extern "C" fn(*mut *mut c_void) -> c_int;
        type Release = unsafe extern "C" fn(c_int) -> c_int;
        type Memory = unsafe extern "C" fn(*mut usize, *mut usize) -> c_int;
        let device = self.device(index)?;
        let retain = self
            .function::<Retain>(b"cuDevicePrimaryCtxRetain\0")
            .ok()?;
        let release = self
            .function::<Release>(b"cuDevicePrimaryCtxRelease_v2\0")
            .ok()?;
        let push = self.function::<Push>(b"cuCtxPushCurrent_v2\0").ok()?;
        let pop = self.function::<Pop>(b"cuCtxPopCurrent_v2\0").ok()?;
        let memory = self.function::<Memory>(b"cuMemGetInfo_v2\0").ok()?;
        let (mut context, mut free, mut total) = (std::ptr::null_mut(), 0, 0);
        // SAFETY: each function gets pointers to values that outlive the call. A context that was
        // retained is released, and a context that was pushed is popped.
        let is_known = unsafe {
            if retain(&mut context, device) != 0 {
                return None;
            }
            let is_current = push(context) == 0;
            let is_known = is_current && memory(&mut free, &mut total) == 0;
            if is_current {
                pop(&mut context);
            }
            release(device);
            is_known
        };
        is_known.then_some(GpuMemory {
            free: free as u64,
            total: total as u64,
        })
    }

    /// The driver's handle of a GPU.
    fn device(&self, index: usize) -> Option<c_int> {
        type Get = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
        let get = self.function::<Get>(b"cuDeviceGet\0").ok()?;
        let mut device = 0;
        // SAFETY: the function writes one number.
        (unsafe { get(&mut device, c_int::try_from(index).ok()?) } == 0).then_some(device)
    }

    fn error_text(&self, code: c_int) -> Option<String> {
        type Text = unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int;
        let describe = self.function::<Text>(b"cuGetErrorString\0").ok()?;
        let mut text = std::ptr::null();
        // SAFETY: the function writes a pointer to a constant text, or null for an unknown code.
        let is_known = unsafe { describe(code, &mut text) } == 0 && !text.is_null();
        // SAFETY: the text is constant and ends with a zero.
        is_known.then(|| {
            unsafe { CStr::from_ptr(text) }
                .to_string_lossy()
                .into_owned()
        })
    }

    fn function<T>(&self, name: &'static [u8]) -> Result<Symbol<'_, T>, libloading::Error> {
        // SAFETY: every caller names the function's type as the CUDA Driver API declares it.
        unsafe { self.library.get(name) }
    }
}
