// Fits a linear model to a table of numbers by gradient descent, each rank on its own rows.
//
//   farandolerun -np 2 ./train sea_temperature.csv DEC SEP OCT NOV
//
// The first name is the column to predict, the others are those to predict it from. Every fifth row
// is held out. All that the ranks tell one another are sums: of the columns, to scale them, and of
// gradients.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <farandole/farandole.hpp>

namespace {

constexpr size_t kHeldOut = 5;
constexpr int kSteps = 2000;

using Row = std::vector<double>;  // the inputs, a constant 1, and the value to predict
using Rows = std::vector<Row>;

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, ',');) {
    field.erase(
        std::remove_if(field.begin(), field.end(), [](char c) { return c == '"' || c == '\r'; }),
        field.end());
    fields.push_back(field);
  }
  return fields;
}

std::vector<size_t> locate(
    const std::vector<std::string>& head, const std::vector<std::string>& names) {
  std::vector<size_t> columns;
  for (const std::string& name : names) {
    const auto found = std::find(head.begin(), head.end(), name);
    if (found == head.end())
      throw std::runtime_error("there is no column " + name);
    columns.push_back(static_cast<size_t>(found - head.begin()));
  }
  return columns;
}

Rows read_table(const std::string& path, const std::vector<std::string>& names) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line))
    throw std::runtime_error("cannot read " + path);
  const std::vector<size_t> columns = locate(fields_of(line), names);
  Rows rows;
  while (std::getline(file, line)) {
    const std::vector<std::string> fields = fields_of(line);
    Row row;
    for (size_t i = 1; i < columns.size(); ++i) row.push_back(std::stod(fields.at(columns[i])));
    row.push_back(1.0);
    row.push_back(std::stod(fields.at(columns[0])));
    rows.push_back(std::move(row));
  }
  return rows;
}

// Mean and deviation of each column over the training rows of all ranks.
struct Scale {
  Row mean, deviation;
};

class Trainer {
 public:
  Trainer(fdl::Session& session, const Rows& all) : session_(session) {
    const fdl_topology place = session.topology();
    const auto rank = static_cast<size_t>(place.rank), size = static_cast<size_t>(place.size);
    for (size_t r = rank; r < all.size(); r += size)
      (r % kHeldOut == 0 ? held_out_ : training_).push_back(all[r]);
    width_ = all.at(0).size();
    weights_.assign(width_ - 1, 0.0);
    scale_columns();
  }

  // One step along the gradient of the mean square error over the rows of all ranks, which it
  // returns.
  double descend() {
    std::vector<double> sums(width_ + 1);  // gradient, squares, rows
    for (const Row& row : training_) {
      const double difference = residual(row);
      for (size_t c = 0; c < weights_.size(); ++c) sums[c] += 2.0 * difference * row[c];
      sums[width_ - 1] += difference * difference;
      sums[width_] += 1.0;
    }
    add_up(sums, "gradient");
    for (size_t c = 0; c < weights_.size(); ++c) weights_[c] -= 0.1 * sums[c] / sums[width_];
    return sums[width_ - 1] / sums[width_];
  }

  // Root mean square error over the held-out rows of all ranks, in the unit of the table.
  double test() {
    std::vector<double> sums(2);
    for (const Row& row : held_out_) {
      sums[0] += residual(row) * residual(row);
      sums[1] += 1.0;
    }
    add_up(sums, "test");
    return std::sqrt(sums[0] / sums[1]) * unit();
  }

  double unit() const { return scale_.deviation.back(); }

  void print(const std::vector<std::string>& names) const {
    double constant = scale_.mean.back() + unit() * weights_.back();
    std::printf("%s =", names[0].c_str());
    for (size_t c = 0; c + 1 < weights_.size(); ++c) {
      const double slope = weights_[c] * unit() / scale_.deviation[c];
      constant -= slope * scale_.mean[c];
      std::printf(" %+.4f %s", slope, names[c + 1].c_str());
    }
    std::printf(" %+.4f\n", constant);
  }

 private:
  void add_up(std::vector<double>& values, const char* name) {
    session_.allreduce<double>(values, values, FDL_SUM, name);
  }

  double residual(const Row& row) const {
    return std::inner_product(weights_.begin(), weights_.end(), row.begin(), -row.back());
  }

  void scale_columns() {
    std::vector<double> sums(2 * width_ + 1);
    for (const Row& row : training_) {
      for (size_t c = 0; c < width_; ++c) {
        sums[c] += row[c];
        sums[width_ + c] += row[c] * row[c];
      }
      sums[2 * width_] += 1.0;
    }
    add_up(sums, "columns");
    const double rows = sums[2 * width_];
    for (size_t c = 0; c < width_; ++c) {
      const bool constant = c + 2 == width_;
      const double mean = sums[c] / rows;
      scale_.mean.push_back(constant ? 0.0 : mean);
      scale_.deviation.push_back(
          constant ? 1.0 : std::sqrt(std::max(sums[width_ + c] / rows - mean * mean, 1e-12)));
    }
    for (Rows* rows_of_a_part : {&training_, &held_out_}) {
      for (Row& row : *rows_of_a_part) {
        for (size_t c = 0; c < width_; ++c)
          row[c] = (row[c] - scale_.mean[c]) / scale_.deviation[c];
      }
    }
  }

  fdl::Session& session_;
  Rows training_, held_out_;
  size_t width_ = 0;
  Row weights_;
  Scale scale_;
};

void run(const std::string& path, const std::vector<std::string>& names) {
  const Rows rows = read_table(path, names);
  fdl::Session session;
  const bool leader = session.rank() == 0;
  Trainer trainer(session, rows);
  const double before = trainer.test();
  for (int step = 0; step < kSteps; ++step) {
    const double loss = trainer.descend();
    if (leader && step % 500 == 0)
      std::printf("step %4d   training error %.4f\n", step, std::sqrt(loss) * trainer.unit());
  }
  const double after = trainer.test();
  if (!leader)
    return;
  trainer.print(names);
  std::printf("error on rows held out: %.4f, of the mean alone: %.4f\n", after, before);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: train FILE.csv COLUMN_TO_PREDICT COLUMN...\n", stderr);
    return 1;
  }
  try {
    run(argv[1], std::vector<std::string>(argv + 2, argv + argc));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "train: %s\n", error.what());
    return 1;
  }
}
