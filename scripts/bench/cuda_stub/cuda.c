/* The CUDA driver's entry points that libraries of PyTorch are linked against; nothing calls them for anything. */
#define ANSWER(name) int name(void) { return 0; }
ANSWER(cuCtxGetCurrent) ANSWER(cuCtxSetCurrent) ANSWER(cuDeviceGet) ANSWER(cuDeviceGetAttribute)
ANSWER(cuDevicePrimaryCtxGetState) ANSWER(cuDevicePrimaryCtxRetain) ANSWER(cuFuncGetAttributes)
ANSWER(cuFuncSetAttribute) ANSWER(cuFuncSetCacheConfig) ANSWER(cuGetErrorString) ANSWER(cuLaunchCooperativeKernel)
ANSWER(cuLaunchKernel) ANSWER(cuLinkAddData_v2) ANSWER(cuLinkComplete) ANSWER(cuLinkCreate_v2)
ANSWER(cuModuleGetFunction) ANSWER(cuModuleLoad) ANSWER(cuModuleLoadData) ANSWER(cuModuleLoadDataEx)
ANSWER(cuModuleUnload) ANSWER(cuOccupancyMaxActiveBlocksPerMultiprocessor) ANSWER(cuPointerGetAttribute)
ANSWER(cuTensorMapEncodeTiled)
