/* A layer of a plain MLP, of every member in turn: products with what follows them, in float32.
 *
 * All matrices are row-major; `_by` is the number of floats from one member to the next. Members do not touch
 * each other, so that a member's numbers do not depend on its company. Vectors are the compiler's own: eight
 * floats with AVX, sixteen with AVX-512, four elsewhere.
 */
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define W 16
#define ROWS 12
#elif defined(__AVX__)
#define W 8
#define ROWS 6
#else
#define W 4
#define ROWS 6
#endif
#define COLUMNS (2 * W)
#define DEPTH 256 /* of the inner dimension at a time: a panel of B stays in the first-level cache */
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * W)));
typedef float loose __attribute__((vector_size(4 * W), aligned(4), may_alias));
typedef int mask __attribute__((vector_size(4 * W)));
typedef float four __attribute__((vector_size(16)));
typedef float loose_four __attribute__((vector_size(16), aligned(4), may_alias));
typedef int pick __attribute__((vector_size(16)));

/* C[rows, vectors * W] (+)= A[rows, depth] B[depth, vectors * W] */
INLINE void tile(int rows, int vectors, long depth, const float *a, long a_row, long a_col, const float *b,
                 long b_row, float *c, long c_row, int more) {
    vec sum[ROWS][2];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++)
            sum[i][v] = more ? (vec)*(const loose *)(c + i * c_row + v * W) : (vec){0};
    for (long p = 0; p < depth; p++) {
        vec right[2];
        for (int v = 0; v < vectors; v++) right[v] = *(const loose *)(b + p * b_row + v * W);
        for (int i = 0; i < rows; i++) {
            float left = a[i * a_row + p * a_col];
            for (int v = 0; v < vectors; v++) sum[i][v] += left * right[v];
        }
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) *(loose *)(c + i * c_row + v * W) = sum[i][v];
}

#define CASE(n) \
    case n: \
        if (vectors == 2) tile(n, 2, depth, a, a_row, a_col, b, b_row, c, c_row, more); \
        else tile(n, 1, depth, a, a_row, a_col, b, b_row, c, c_row, more); \
        break;

static void tiles(int rows, int vectors, long depth, const float *a, long a_row, long a_col, const float *b,
                  long b_row, float *c, long c_row, int more) {
    switch (rows) {
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#if ROWS == 12
        CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#endif
    }
}

/* panel[depth, COLUMNS] = B[depth, columns], zeros beside it; b_col is 1 where B lies as it is, else b_row is */
static void pack(float *panel, const float *b, long b_row, long b_col, long depth, int columns) {
    if (columns < COLUMNS) memset(panel, 0, sizeof(float) * depth * COLUMNS);
    if (b_col == 1) {
        for (long p = 0; p < depth; p++) {
            const float *from = b + p * b_row;
            vec *to = (vec *)(panel + p * COLUMNS);
            if (columns == COLUMNS) to[0] = *(const loose *)from, to[1] = *(const loose *)(from + W);
            else
                for (int j = 0; j < columns; j++) panel[p * COLUMNS + j] = from[j];
        }
        return;
    }
    int j = 0;
    for (; j + 4 <= columns; j += 4) {
        const float *from = b + j * b_col;
        long p = 0;
        for (; p + 4 <= depth; p += 4) {
            four x = *(const loose_four *)(from + p), y = *(const loose_four *)(from + p + b_col);
            four z = *(const loose_four *)(from + p + 2 * b_col), w = *(const loose_four *)(from + p + 3 * b_col);
            four a = __builtin_shuffle(x, y, (pick){0, 4, 1, 5}), c = __builtin_shuffle(x, y, (pick){2, 6, 3, 7});
            four d = __builtin_shuffle(z, w, (pick){0, 4, 1, 5}), e = __builtin_shuffle(z, w, (pick){2, 6, 3, 7});
            float *to = panel + p * COLUMNS + j;
            *(loose_four *)to = __builtin_shuffle(a, d, (pick){0, 1, 4, 5});
            *(loose_four *)(to + COLUMNS) = __builtin_shuffle(a, d, (pick){2, 3, 6, 7});
            *(loose_four *)(to + 2 * COLUMNS) = __builtin_shuffle(c, e, (pick){0, 1, 4, 5});
            *(loose_four *)(to + 3 * COLUMNS) = __builtin_shuffle(c, e, (pick){2, 3, 6, 7});
        }
        for (; p < depth; p++)
            for (int k = 0; k < 4; k++) panel[p * COLUMNS + j + k] = from[p + k * b_col];
    }
    for (; j < columns; j++)
        for (long p = 0; p < depth; p++) panel[p * COLUMNS + j] = b[p + j * b_col];
}

/* Of A[m, depth] with rows of neighbours, blocks of ROWS rows one after the other, [block, depth, ROWS] */
static void stand(float *blocks, const float *a, long a_col, long m, long depth) {
    for (long i = 0; i < m; i += ROWS, blocks += depth * ROWS) {
        int rows = m - i < ROWS ? (int)(m - i) : ROWS;
        for (long p = 0; p < depth; p++)
            if (rows == ROWS)
                for (int r = 0; r < ROWS; r++) blocks[p * ROWS + r] = a[i + r + p * a_col];
            else
                for (int r = 0; r < rows; r++) blocks[p * ROWS + r] = a[i + r + p * a_col];
    }
}

/* C[m, n] = A[m, k] B[k, n], C with rows of n floats; A and B by the strides of their rows and columns */
static void product(long m, long n, long k, const float *a, long a_row, long a_col, const float *b, long b_row,
                    long b_col, float *c) {
    float panel[DEPTH * COLUMNS] __attribute__((aligned(64)));
    float rest[ROWS * COLUMNS] __attribute__((aligned(64)));
    float *blocks = a_row == 1 && n > W ? malloc(sizeof(float) * (m + ROWS) * DEPTH) : NULL;
    for (long from = 0; from < k; from += DEPTH) {
        long depth = k - from < DEPTH ? k - from : DEPTH;
        if (blocks) stand(blocks, a + from * a_col, a_col, m, depth);
        for (long j = 0; j < n; j += COLUMNS) {
            int columns = n - j < COLUMNS ? (int)(n - j) : COLUMNS, vectors = columns > W ? 2 : 1;
            int whole = columns == vectors * W;
            pack(panel, b + from * b_row + j * b_col, b_row, b_col, depth, columns);
            for (long i = 0; i < m; i += ROWS) {
                int rows = m - i < ROWS ? (int)(m - i) : ROWS;
                const float *left = blocks ? blocks + i * depth : a + i * a_row + from * a_col;
                long down = blocks ? 1 : a_row, along = blocks ? ROWS : a_col;
                float *to = c + i * n + j;
                if (whole) {
                    tiles(rows, vectors, depth, left, down, along, panel, COLUMNS, to, n, from > 0);
                    continue;
                }
                if (from)
                    for (int r = 0; r < rows; r++) memcpy(rest + r * COLUMNS, to + r * n, sizeof(float) * columns);
                tiles(rows, vectors, depth, left, down, along, panel, COLUMNS, rest, COLUMNS, from > 0);
                for (int r = 0; r < rows; r++) memcpy(to + r * n, rest + r * COLUMNS, sizeof(float) * columns);
            }
        }
    }
    free(blocks);
}

/* tanh as x times a rational function of x², fitted to 0 ... LAST; to 4e-7, and NaN stays. Alike to three units
 * of the last place to that of the C library, in a tenth of the time. */
#define LAST 9.1f
static const float ABOVE[] = {0.999999999959228f,     0.14096306614631585f,  0.00442207772922404f,
                              4.217375796119449e-05f, 1.1059995837674472e-07f, 3.638318162742392e-11f};
static const float BELOW[] = {1.0f,                    0.4742963990342955f,    0.029187544880454098f,
                              0.000500088837775137f, 2.594550260018841e-06f, 2.929773379848605e-09f};
INLINE float tanh_of(float x) {
    x = x > LAST ? LAST : x < -LAST ? -LAST : x;
    float u = x * x;
    float above = ABOVE[5], below = BELOW[5];
    for (int k = 4; k >= 0; k--) {
        above = above * u + ABOVE[k];
        below = below * u + BELOW[k];
    }
    float y = x * above / below;
    return y > 1.0f ? 1.0f : y < -1.0f ? -1.0f : y;
}

enum { IDENTITY, TANH, RELU, LEAKY };

/* z = f(x Wᵀ + b): x [samples, in], W [out, in], b [out] or none, z [samples, out] */
void forward(long members, long samples, long in, long out, const float *x, long x_by, const float *w, long w_by,
             const float *b, long b_by, float *z, long z_by, int kind, float slope) {
    for (long k = 0; k < members; k++, x += x_by, w += w_by, b += b_by, z += z_by) {
        product(samples, out, in, x, in, 1, w, 1, in, z);
        for (long i = 0; i < samples; i++) {
            float *row = z + i * out;
            if (b)
                for (long j = 0; j < out; j++) row[j] += b[j];
            if (kind == TANH)
                for (long j = 0; j < out; j++) row[j] = tanh_of(row[j]);
            else if (kind == RELU)
                for (long j = 0; j < out; j++) row[j] = row[j] < 0 ? 0 : row[j];
            else if (kind == LEAKY)
                for (long j = 0; j < out; j++) row[j] = row[j] > 0 ? row[j] : slope * row[j];
        }
    }
}

/* Of d, the loss's derivative by the layer's z [samples, out]: that by W, by b, and by what the layer before gave,
 * whose activation y [samples, in] is undone: by_x = (d W) f'(z). by_x may be none. */
void backward(long members, long samples, long in, long out, const float *x, long x_by, const float *w, long w_by,
              const float *d, long d_by, float *by_w, float *by_b, long by_by, float *by_x, long by_x_by, int kind,
              float slope) {
    for (long k = 0; k < members; k++, x += x_by, w += w_by, d += d_by) {
        product(out, in, samples, d, 1, out, x, in, 1, by_w + k * by_by);
        if (by_b) {
            float *sum = by_b + k * by_by;
            memset(sum, 0, sizeof(float) * out);
            for (long i = 0; i < samples; i++)
                for (long j = 0; j < out; j++) sum[j] += d[i * out + j];
        }
        if (!by_x) continue;
        float *to = by_x + k * by_x_by;
        product(samples, in, out, d, out, 1, w, in, 1, to);
        if (kind == TANH)
            for (long i = 0; i < samples * in; i++) to[i] *= 1 - x[i] * x[i];
        else if (kind == RELU)
            for (long i = 0; i < samples * in; i++) to[i] = x[i] > 0 ? to[i] : 0;
        else if (kind == LEAKY)
            for (long i = 0; i < samples * in; i++) to[i] = x[i] > 0 ? to[i] : slope * to[i];
    }
}

struct layer {
    long in, out;
    const float *w, *b; /* b may be none */
    long w_by, b_by;
    float *by_w, *by_b;
    long by_by;
    long kind;
    double slope;
    float *state, *by_state; /* of one member: each uses them in turn, so that they stay in the cache */
};

/* Gradients of the mean squared error of y [samples, outputs], mean over both; `loss` [members] */
void squared(long members, long samples, long layers, const struct layer *all, const float *x, long x_by,
             const float *y, long y_by, float *loss) {
    const struct layer *last = all + layers - 1;
    long count = samples * last->out;
    for (long k = 0; k < members; k++, x += x_by, y += y_by) {
        const float *state = x;
        for (const struct layer *l = all; l <= last; l++) {
            forward(1, samples, l->in, l->out, state, 0, l->w + k * l->w_by, 0, l->b ? l->b + k * l->b_by : l->b, 0,
                    l->state, 0, (int)l->kind, (float)l->slope);
            state = l->state;
        }
        double sum = 0;
        for (long i = 0; i < samples; i++) {
            float row = 0;
            for (long j = i * last->out; j < (i + 1) * last->out; j++) {
                float apart = state[j] - y[j];
                row += apart * apart;
                last->by_state[j] = apart * (2.0f / count);
            }
            sum += row;
        }
        loss[k] = (float)(sum / count);
        for (const struct layer *l = last; l >= all; l--) {
            const struct layer *before = l > all ? l - 1 : NULL;
            backward(1, samples, l->in, l->out, before ? before->state : x, 0, l->w + k * l->w_by, 0, l->by_state, 0,
                     l->by_w + k * l->by_by, l->by_b ? l->by_b + k * l->by_by : l->by_b, 0,
                     before ? before->by_state : NULL, 0, before ? (int)before->kind : IDENTITY,
                     before ? (float)before->slope : 0.0f);
        }
    }
}
