/* Fits a linear model to a table of numbers by gradient descent, each rank on its own rows.
 *
 *   farandolerun -np 2 ./train sea_temperature.csv DEC SEP OCT NOV
 *
 * The first name is the column to predict, the others are those to predict it from. Every fifth row
 * is held out. All that the ranks tell one another are sums: of the columns, to scale them, and of
 * gradients, all through fdl_allreduce.
 */
#include <errno.h>
#include <farandole/farandole.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMaxColumns = 64, kMaxLine = 4096, kMaxInputs = 15, kSteps = 2000, kHeldOut = 5 };

/* The chosen columns: for each row the inputs, a constant 1, and the value to predict. */
typedef struct Table {
  int inputs;
  long rows;
  double* cells; /* rows x (inputs + 2) */
} Table;

static int fail(const char* what, const char* detail) {
  fprintf(stderr, "train: %s%s\n", what, detail);
  return 1;
}

static int failed(const char* what) {
  fprintf(stderr, "train: %s: %s\n", what, fdl_last_error());
  return 1;
}

/* Splits a line at its commas and strips quotes; returns the number of fields. */
static int split(char* line, char* fields[kMaxColumns]) {
  int count = 0;
  for (char* field = strtok(line, ",\r\n"); field && count < kMaxColumns;
       field = strtok(NULL, ",\r\n")) {
    const size_t length = strlen(field);
    if (length >= 2 && field[0] == '"' && field[length - 1] == '"') {
      field[length - 1] = '\0';
      ++field;
    }
    fields[count++] = field;
  }
  return count;
}

/* Finds the wanted names in the head line. */
static int locate(char* head, char** names, int count, int* columns) {
  char* fields[kMaxColumns];
  const int found = split(head, fields);
  for (int i = 0; i < count; ++i) {
    columns[i] = -1;
    for (int c = 0; c < found; ++c)
      if (strcmp(names[i], fields[c]) == 0)
        columns[i] = c;
    if (columns[i] < 0)
      return fail("there is no column ", names[i]);
  }
  return 0;
}

static int read_row(char* line, const int* columns, int count, double* row) {
  char* fields[kMaxColumns];
  const int found = split(line, fields);
  for (int i = 0; i < count; ++i) {
    if (columns[i] >= found)
      return fail("a row is too short", "");
    char* end = NULL;
    const double value = strtod(fields[columns[i]], &end);
    if (end == fields[columns[i]] || *end != '\0' || !isfinite(value))
      return fail("this is no number: ", fields[columns[i]]);
    row[i == 0 ? count : i - 1] = value; /* what is predicted comes last */
  }
  row[count - 1] = 1.0;
  return 0;
}

static int read_rows(FILE* file, char** names, int count, Table* table) {
  char line[kMaxLine];
  int columns[kMaxInputs + 1];
  if (!fgets(line, sizeof line, file) || locate(line, names, count, columns))
    return 1;
  long capacity = 0;
  while (fgets(line, sizeof line, file)) {
    if (table->rows == capacity) {
      capacity = capacity ? 2 * capacity : 64;
      double* grown =
          realloc(table->cells, (size_t)capacity * (size_t)(count + 1) * sizeof(double));
      if (!grown)
        return fail("out of memory", "");
      table->cells = grown;
    }
    if (read_row(line, columns, count, table->cells + table->rows * (count + 1)))
      return 1;
    ++table->rows;
  }
  return 0;
}

static int read_table(const char* path, char** names, int count, Table* table) {
  FILE* file = fopen(path, "r");
  if (!file)
    return fail("cannot open the table: ", strerror(errno));
  table->inputs = count - 1;
  const int result = read_rows(file, names, count, table);
  fclose(file);
  return result;
}

/* Whether a row is one of those that this rank trains on, or is tested on. */
static int is_mine(long row, int held_out, int rank, int size) {
  return (row % kHeldOut == 0) == held_out && row % size == rank;
}

/* Gives every column mean 0 and deviation 1 over the training rows of all ranks; keeps both. */
static int scale_columns(fdl_session* session, Table* table, double* mean, double* deviation) {
  const int width = table->inputs + 2, rank = fdl_rank(session), size = fdl_size(session);
  double sums[2 * (kMaxInputs + 2) + 1] = {0};
  for (long r = 0; r < table->rows; ++r) {
    if (!is_mine(r, 0, rank, size))
      continue;
    for (int c = 0; c < width; ++c) {
      const double value = table->cells[r * width + c];
      sums[c] += value;
      sums[width + c] += value * value;
    }
    sums[2 * width] += 1.0;
  }
  if (fdl_allreduce(session, "columns", sums, sums, 2 * width + 1, FDL_FLOAT64, FDL_SUM))
    return failed("summing the columns");
  const double rows = sums[2 * width];
  for (int c = 0; c < width; ++c) {
    const int constant = c == table->inputs;
    mean[c] = constant ? 0.0 : sums[c] / rows;
    deviation[c] = constant ? 1.0 : sqrt(fmax(sums[width + c] / rows - mean[c] * mean[c], 1e-12));
    for (long r = 0; r < table->rows; ++r)
      table->cells[r * width + c] = (table->cells[r * width + c] - mean[c]) / deviation[c];
  }
  return 0;
}

static double residual(const Table* table, long row, const double* weights) {
  const double* cells = table->cells + row * (table->inputs + 2);
  double value = -cells[table->inputs + 1];
  for (int c = 0; c <= table->inputs; ++c) value += weights[c] * cells[c];
  return value;
}

/* One step along the gradient of the mean square error over the rows of all ranks. */
static int descend(fdl_session* session, const Table* table, double* weights, double* loss) {
  const int weight_count = table->inputs + 1;
  double sums[kMaxInputs + 3] = {0}; /* gradient, squares, rows */
  for (long r = 0; r < table->rows; ++r) {
    if (!is_mine(r, 0, fdl_rank(session), fdl_size(session)))
      continue;
    const double difference = residual(table, r, weights);
    for (int c = 0; c < weight_count; ++c)
      sums[c] += 2.0 * difference * table->cells[r * (table->inputs + 2) + c];
    sums[weight_count] += difference * difference;
    sums[weight_count + 1] += 1.0;
  }
  if (fdl_allreduce(session, "gradient", sums, sums, weight_count + 2, FDL_FLOAT64, FDL_SUM))
    return failed("summing the gradients");
  const double rows = sums[weight_count + 1];
  for (int c = 0; c < weight_count; ++c) weights[c] -= 0.1 * sums[c] / rows;
  *loss = sums[weight_count] / rows;
  return 0;
}

/* Root mean square error over the held-out rows of all ranks. */
static int test(fdl_session* session, const Table* table, const double* weights, double* error) {
  double sums[2] = {0, 0};
  for (long r = 0; r < table->rows; ++r) {
    if (!is_mine(r, 1, fdl_rank(session), fdl_size(session)))
      continue;
    const double difference = residual(table, r, weights);
    sums[0] += difference * difference;
    sums[1] += 1.0;
  }
  if (fdl_allreduce(session, "test", sums, sums, 2, FDL_FLOAT64, FDL_SUM))
    return failed("testing");
  *error = sqrt(sums[0] / sums[1]);
  return 0;
}

static int train(fdl_session* session, Table* table, char** names) {
  double mean[kMaxInputs + 2], deviation[kMaxInputs + 2];
  double weights[kMaxInputs + 1] = {0};
  double loss = 0, before = 0, after = 0;
  if (scale_columns(session, table, mean, deviation))
    return 1;
  const double unit = deviation[table->inputs + 1];
  if (test(session, table, weights, &before))
    return 1;
  for (int step = 0; step < kSteps; ++step) {
    if (descend(session, table, weights, &loss))
      return 1;
    if (fdl_rank(session) == 0 && step % 500 == 0)
      printf("step %4d   training error %.4f\n", step, sqrt(loss) * unit);
  }
  if (test(session, table, weights, &after))
    return 1;
  if (fdl_rank(session) != 0)
    return 0;
  double constant = mean[table->inputs + 1] + unit * weights[table->inputs];
  printf("%s =", names[0]);
  for (int c = 0; c < table->inputs; ++c) {
    const double slope = weights[c] * unit / deviation[c];
    constant -= slope * mean[c];
    printf(" %+.4f %s", slope, names[c + 1]);
  }
  printf(" %+.4f\n", constant);
  printf("error on rows held out: %.4f, of the mean alone: %.4f\n", after * unit, before * unit);
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 4 || argc > 3 + kMaxInputs)
    return fail("usage: train FILE.csv COLUMN_TO_PREDICT COLUMN... (at most 15)", "");
  Table table = {0};
  fdl_session* session = NULL;
  int result = read_table(argv[1], argv + 2, argc - 2, &table);
  if (result == 0 && fdl_init(NULL, &session))
    result = failed("joining the job");
  if (result == 0)
    result = train(session, &table, argv + 2);
  fdl_destroy(session);
  free(table.cells);
  return result;
}
