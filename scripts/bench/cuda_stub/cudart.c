/* The CUDA runtime without a GPU: what PyTorch calls of it, answered on the host. See README.md.
 *
 * Device memory is host memory, copies are memcpy, kernels are counted and not executed. A stream that is being captured
 * into a graph refuses what CUDA refuses there (waiting, copies from pageable memory); launching the graph is one launch.
 */
#define _GNU_SOURCE
#include <cuda_runtime_api.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned long stub_launches, stub_captured, stub_graph_launches, stub_h2d, stub_d2h, stub_d2d, stub_sync, stub_memset,
    stub_malloc, stub_h2d_bytes, stub_d2h_bytes, stub_pinned;

static __thread int current;
static size_t used;
static int capturing; /* one capture at a time, of every stream that takes part */
static unsigned long long capture_id;
static unsigned long captured_nodes;

static int number(const char *name, int otherwise) {
    const char *value = getenv(name);
    return value ? atoi(value) : otherwise;
}
static int devices(void) { return number("CUDA_STUB_GPUS", 1); }
static int architecture(void) { return number("CUDA_STUB_SM", 90); }
static size_t memory(void) {
    const char *value = getenv("CUDA_STUB_MEM_GB");
    return (size_t)((value ? atof(value) : 80.0) * (1ull << 30));
}

#define ANSWER(name, parameters, ...) \
    cudaError_t name parameters { __VA_ARGS__; return cudaSuccess; }

/* --- device, versions, errors */

ANSWER(cudaGetDeviceCount, (int *count), *count = devices())
ANSWER(cudaGetDevice, (int *device), *device = current)
ANSWER(cudaSetDevice, (int device), current = device)
ANSWER(cudaDriverGetVersion, (int *version), *version = CUDART_VERSION)
ANSWER(cudaRuntimeGetVersion, (int *version), *version = CUDART_VERSION)
ANSWER(cudaGetLastError, (void), (void)0)
ANSWER(cudaPeekAtLastError, (void), (void)0)
ANSWER(cudaDeviceCanAccessPeer, (int *can, int device, int peer), *can = 0)
ANSWER(cudaProfilerStart, (void), (void)0)
ANSWER(cudaProfilerStop, (void), (void)0)
ANSWER(cudaDeviceGetPCIBusId, (char *id, int length, int device), strncpy(id, "0000:00:00.0", length))

const char *cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorMemoryAllocation             ? "out of memory"
           : error == cudaErrorStreamCaptureUnsupported ? "operation not permitted when stream is capturing"
                                                          : "an error of the CUDA stub";
}
const char *cudaGetErrorName(cudaError_t error) { return "cudaErrorOfTheStub"; }

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
    switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: case cudaDevAttrMaxBlockDimX: case cudaDevAttrMaxBlockDimY: *value = 1024; break;
    case cudaDevAttrMaxBlockDimZ: *value = 64; break;
    case cudaDevAttrWarpSize: *value = 32; break;
    case cudaDevAttrMultiProcessorCount: *value = 132; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
    case cudaDevAttrComputeCapabilityMajor: *value = architecture() / 10; break;
    case cudaDevAttrComputeCapabilityMinor: *value = architecture() % 10; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = 49152; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 232448; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = 233472; break;
    case cudaDevAttrMaxGridDimX: *value = 2147483647; break;
    case cudaDevAttrMaxGridDimY: case cudaDevAttrMaxGridDimZ: *value = 65535; break;
    case cudaDevAttrL2CacheSize: *value = 50 << 20; break;
    default: *value = 1;
    }
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int device) {
    memset(p, 0, sizeof *p);
    strcpy(p->name, "CUDA stub");
    p->totalGlobalMem = memory();
    p->major = architecture() / 10, p->minor = architecture() % 10;
    p->sharedMemPerBlock = 49152, p->sharedMemPerBlockOptin = 232448, p->sharedMemPerMultiprocessor = 233472;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536, p->warpSize = 32, p->maxThreadsPerBlock = 1024;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024, p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647, p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->multiProcessorCount = 132, p->maxThreadsPerMultiProcessor = 2048, p->maxBlocksPerMultiProcessor = 32;
    p->l2CacheSize = 50 << 20, p->textureAlignment = 512, p->memoryBusWidth = 5120;
    return cudaSuccess;
}
cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned version,
                                             unsigned long long flags, enum cudaDriverEntryPointQueryResult *result) {
    *function = NULL;
    if (result) *result = cudaDriverEntryPointSymbolNotFound;
    return cudaErrorNotSupported;
}

/* --- streams and events: everything has happened as soon as it is asked for */

static cudaError_t waited(void) {
    stub_sync++;
    return capturing ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}
cudaError_t cudaDeviceSynchronize(void) { return waited(); }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) { return waited(); }
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return waited(); }
ANSWER(cudaStreamQuery, (cudaStream_t stream), (void)0)
ANSWER(cudaStreamCreate, (cudaStream_t *stream), *stream = (cudaStream_t)malloc(16))
ANSWER(cudaStreamCreateWithFlags, (cudaStream_t *stream, unsigned flags), *stream = (cudaStream_t)malloc(16))
ANSWER(cudaStreamCreateWithPriority, (cudaStream_t *stream, unsigned f, int p), *stream = (cudaStream_t)malloc(16))
ANSWER(cudaStreamDestroy, (cudaStream_t stream), (void)0)
ANSWER(cudaStreamWaitEvent, (cudaStream_t stream, cudaEvent_t event, unsigned flags), (void)0)
ANSWER(cudaStreamGetPriority, (cudaStream_t stream, int *priority), *priority = 0)
ANSWER(cudaDeviceGetStreamPriorityRange, (int *least, int *greatest), *least = 0, *greatest = -5)
ANSWER(cudaEventCreate, (cudaEvent_t *event), *event = (cudaEvent_t)malloc(16))
ANSWER(cudaEventCreateWithFlags, (cudaEvent_t *event, unsigned flags), *event = (cudaEvent_t)malloc(16))
ANSWER(cudaEventDestroy, (cudaEvent_t event), (void)0)
ANSWER(cudaEventRecord, (cudaEvent_t event, cudaStream_t stream), (void)0)
ANSWER(cudaEventRecordWithFlags, (cudaEvent_t event, cudaStream_t stream, unsigned flags), (void)0)
ANSWER(cudaEventQuery, (cudaEvent_t event), (void)0)
ANSWER(cudaEventElapsedTime, (float *ms, cudaEvent_t start, cudaEvent_t end), *ms = 1)
ANSWER(cudaLaunchHostFunc, (cudaStream_t stream, cudaHostFn_t function, void *data), function(data))

/* --- graphs */

static enum cudaStreamCaptureStatus status(void) {
    return capturing ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
}
ANSWER(cudaThreadExchangeStreamCaptureMode, (enum cudaStreamCaptureMode *mode), (void)0)
ANSWER(cudaStreamIsCapturing, (cudaStream_t stream, enum cudaStreamCaptureStatus *now), *now = status())
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, enum cudaStreamCaptureStatus *now, unsigned long long *id,
                                     cudaGraph_t *graph, const cudaGraphNode_t **dependencies,
                                     const cudaGraphEdgeData **edges, size_t *number) {
    if (now) *now = status();
    if (id) *id = capture_id;
    if (graph) *graph = NULL;
    if (dependencies) *dependencies = NULL;
    if (edges) *edges = NULL;
    if (number) *number = 0;
    return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    if (capturing || !number("CUDA_STUB_GRAPHS", 1)) return cudaErrorStreamCaptureUnsupported;
    capturing = 1, capture_id++, captured_nodes = 0;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    capturing = 0;
    *graph = malloc(sizeof captured_nodes);
    *(unsigned long *)*graph = captured_nodes;
    return cudaSuccess;
}
ANSWER(cudaGraphGetNodes, (cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count), *count = *(unsigned long *)graph)
ANSWER(cudaGraphInstantiate, (cudaGraphExec_t *run, cudaGraph_t graph, unsigned long long flags), *run = malloc(16))
ANSWER(cudaGraphInstantiateWithFlags, (cudaGraphExec_t *run, cudaGraph_t graph, unsigned long long flags),
       *run = malloc(16))
ANSWER(cudaGraphLaunch, (cudaGraphExec_t run, cudaStream_t stream), stub_launches++, stub_graph_launches++)
ANSWER(cudaGraphDestroy, (cudaGraph_t graph), free(graph))
ANSWER(cudaGraphExecDestroy, (cudaGraphExec_t run), free(run))

/* --- memory */

#define HEADER 512 /* keeps blocks aligned, and holds their size */
static cudaError_t allocate(void **pointer, size_t size) {
    size_t rounded = (size + HEADER - 1) & ~(size_t)(HEADER - 1);
    char *block = NULL;
    *pointer = NULL;
    if (used + rounded > memory() || posix_memalign((void **)&block, HEADER, rounded + HEADER))
        return cudaErrorMemoryAllocation;
    *(size_t *)block = rounded;
    memset(block + HEADER, 0, rounded);
    *pointer = block + HEADER;
    used += rounded, stub_malloc++;
    return cudaSuccess;
}
cudaError_t cudaMalloc(void **pointer, size_t size) { return allocate(pointer, size); }
cudaError_t cudaFree(void *pointer) {
    if (!pointer) return cudaSuccess;
    char *block = (char *)pointer - HEADER;
    used -= *(size_t *)block;
    free(block);
    return cudaSuccess;
}
ANSWER(cudaMemGetInfo, (size_t *left, size_t *total), *total = memory(), *left = memory() - used)

/* Pinned blocks are remembered, so that a copy from pageable memory is known. */
static struct { char *start; size_t size; } pinned[4096];
static int pinned_count;
static cudaError_t pin(void **pointer, size_t size) {
    if (posix_memalign(pointer, 4096, size)) return cudaErrorMemoryAllocation;
    stub_pinned++;
    if (pinned_count < 4096) pinned[pinned_count].start = *pointer, pinned[pinned_count++].size = size;
    return cudaSuccess;
}
static int is_pinned(const void *pointer) {
    for (int i = 0; i < pinned_count; i++)
        if ((char *)pointer >= pinned[i].start && (char *)pointer < pinned[i].start + pinned[i].size) return 1;
    return 0;
}
cudaError_t cudaHostAlloc(void **pointer, size_t size, unsigned flags) { return pin(pointer, size); }
cudaError_t cudaMallocHost(void **pointer, size_t size) { return pin(pointer, size); }
cudaError_t cudaFreeHost(void *pointer) {
    for (int i = 0; i < pinned_count; i++)
        if (pinned[i].start == pointer) pinned[i] = pinned[--pinned_count];
    free(pointer);
    return cudaSuccess;
}
ANSWER(cudaHostRegister, (void *pointer, size_t size, unsigned flags), (void)0)
ANSWER(cudaHostUnregister, (void *pointer), (void)0)
ANSWER(cudaPointerGetAttributes, (struct cudaPointerAttributes *answer, const void *pointer),
       memset(answer, 0, sizeof *answer), answer->type = cudaMemoryTypeUnregistered)

static cudaError_t copy(void *to, const void *from, size_t size, enum cudaMemcpyKind kind, int waits) {
    const void *host = kind == cudaMemcpyHostToDevice ? from : kind == cudaMemcpyDeviceToHost ? to : NULL;
    if (capturing && (waits || (host && !is_pinned(host)))) return cudaErrorStreamCaptureUnsupported;
    memmove(to, from, size);
    if (kind == cudaMemcpyHostToDevice) stub_h2d++, stub_h2d_bytes += size;
    else if (kind == cudaMemcpyDeviceToHost) stub_d2h++, stub_d2h_bytes += size;
    else stub_d2d++;
    stub_sync += waits, captured_nodes += capturing;
    return cudaSuccess;
}
cudaError_t cudaMemcpy(void *to, const void *from, size_t size, enum cudaMemcpyKind kind) {
    return copy(to, from, size, kind, 1);
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, enum cudaMemcpyKind kind, cudaStream_t stream) {
    return copy(to, from, size, kind, 0);
}
ANSWER(cudaMemset, (void *to, int value, size_t size), memset(to, value, size), stub_memset++)
ANSWER(cudaMemsetAsync, (void *to, int value, size_t size, cudaStream_t stream),
       memset(to, value, size), stub_memset++, captured_nodes += capturing)
ANSWER(cudaGetSymbolAddress, (void **pointer, const void *symbol), static char block[1 << 16]; *pointer = block)
ANSWER(cudaMemcpyToSymbol, (const void *symbol, const void *from, size_t size, size_t offset, enum cudaMemcpyKind kind),
       (void)0)

/* --- kernels, which are counted */

static cudaError_t launched(void) {
    if (capturing) stub_captured++, captured_nodes++;
    else stub_launches++;
    return cudaSuccess;
}
cudaError_t cudaLaunchKernel(const void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared,
                             cudaStream_t stream) { return launched(); }
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *kernel, void **arguments) {
    return launched();
}
cudaError_t __cudaLaunchKernel(void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared,
                               cudaStream_t stream) { return launched(); }
cudaError_t __cudaLaunchKernel_ptsz(void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared,
                                    cudaStream_t stream) { return launched(); }
ANSWER(__cudaGetKernel, (void **kernel, const void *function), *kernel = (void *)function)
ANSWER(cudaFuncGetAttributes, (struct cudaFuncAttributes *answer, const void *kernel),
       memset(answer, 0, sizeof *answer), answer->maxThreadsPerBlock = 1024, answer->numRegs = 32,
       answer->ptxVersion = answer->binaryVersion = 90, answer->maxDynamicSharedSizeBytes = 49152)
ANSWER(cudaFuncSetAttribute, (const void *kernel, enum cudaFuncAttribute attribute, int value), (void)0)
ANSWER(cudaOccupancyMaxActiveBlocksPerMultiprocessor, (int *blocks, const void *kernel, int size, size_t shared),
       *blocks = 2)
ANSWER(cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags,
       (int *blocks, const void *kernel, int size, size_t shared, unsigned flags), *blocks = 2)

/* --- cuBLAS: matrix products are counted as one launch each */

#define BLAS(name) int name(void) { return 0; }
#define PRODUCT(name) int name(void) { return launched(); }
int cublasCreate_v2(void **handle) { *handle = malloc(16); return 0; }
int cublasLtCreate(void **handle) { *handle = malloc(16); return 0; }
int cublasGetMathMode(void *handle, int *mode) { *mode = 0; return 0; }
int cublasGetPointerMode_v2(void *handle, int *mode) { *mode = 0; return 0; }
BLAS(cublasDestroy_v2) BLAS(cublasSetStream_v2) BLAS(cublasSetWorkspace_v2) BLAS(cublasSetMathMode)
BLAS(cublasSetPointerMode_v2) BLAS(cublasSetAtomicsMode)
PRODUCT(cublasSgemm_v2) PRODUCT(cublasDgemm_v2) PRODUCT(cublasGemmEx) PRODUCT(cublasGemmStridedBatchedEx)
PRODUCT(cublasSgemmStridedBatched) PRODUCT(cublasDgemmStridedBatched) PRODUCT(cublasSgemv_v2)
PRODUCT(cublasDgemv_v2) PRODUCT(cublasSdot_v2) PRODUCT(cublasDotEx)
