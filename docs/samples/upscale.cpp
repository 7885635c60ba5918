// Upscale a PPM picture with a network that `srkd export` wrote, by onnxruntime's C++ interface.
//
//   g++ -std=c++17 -O2 upscale.cpp -I INCLUDE -L LIB -lonnxruntime -o upscale
//   ./upscale small.onnx photo.ppm large.ppm
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <onnxruntime_cxx_api.h>

struct Picture {
    int64_t height = 0, width = 0;
    std::vector<uint8_t> rgb;
};

Picture read_ppm(const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::string kind;
    int most = 0;
    Picture picture;
    file >> kind >> picture.width >> picture.height >> most;
    if (!file || kind != "P6" || most != 255) throw std::runtime_error(std::string(path) + " is no 8-bit P6 file");
    file.get();  // the one white space before the pixels
    picture.rgb.resize(3 * picture.height * picture.width);
    file.read(reinterpret_cast<char*>(picture.rgb.data()), static_cast<std::streamsize>(picture.rgb.size()));
    if (!file) throw std::runtime_error(std::string(path) + " is truncated");
    return picture;
}

void write_ppm(const char* path, const Picture& picture) {
    std::ofstream file(path, std::ios::binary);
    file << "P6\n" << picture.width << ' ' << picture.height << "\n255\n";
    file.write(reinterpret_cast<const char*>(picture.rgb.data()), static_cast<std::streamsize>(picture.rgb.size()));
    if (!file) throw std::runtime_error(std::string("cannot write ") + path);
}

int main(int count, char** arguments) try {
    if (count != 4) throw std::runtime_error("usage: upscale MODEL.onnx IN.ppm OUT.ppm");
    const Picture small = read_ppm(arguments[2]);
    const int64_t pixels = small.height * small.width;
    std::vector<float> planes(3 * pixels);  // [1, 3, h, w], RGB in 0..1
    for (int64_t i = 0; i < pixels; ++i)
        for (int64_t c = 0; c < 3; ++c) planes[c * pixels + i] = small.rgb[3 * i + c] / 255.0f;

    Ort::Env environment(ORT_LOGGING_LEVEL_WARNING, "srkd");
    Ort::Session session(environment, arguments[1], Ort::SessionOptions{});
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const std::array<int64_t, 4> shape{1, 3, small.height, small.width};
    auto lq = Ort::Value::CreateTensor<float>(memory, planes.data(), planes.size(), shape.data(), shape.size());
    const char* input = "lq";
    const char* output = "sr";
    auto results = session.Run(Ort::RunOptions{nullptr}, &input, &lq, 1, &output, 1);

    const auto size = results[0].GetTensorTypeAndShapeInfo().GetShape();
    Picture large{size[2], size[3], std::vector<uint8_t>(3 * size[2] * size[3])};
    const float* sr = results[0].GetTensorData<float>();
    const int64_t plane = large.height * large.width;
    for (int64_t i = 0; i < plane; ++i)
        for (int64_t c = 0; c < 3; ++c)  // the network does not clip
            large.rgb[3 * i + c] = static_cast<uint8_t>(std::lround(std::clamp(sr[c * plane + i], 0.0f, 1.0f) * 255.0f));
    write_ppm(arguments[3], large);
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
}
