/**
 * Divides every row of a row-major matrix by its Euclidean norm, in place, as in DeepCluster (Caron et al. 2018, section
 * 4.1). A row of zeros stays; a row that is not finite stays so.
 */
export const normaliseRows = (values: Float32Array, dimension: number): void => {
  for (let start = 0; start < values.length; start += dimension) {
    const end = start + dimension;
    let squares = 0;
    for (let i = start; i < end; i++) squares += values[i]! * values[i]!;
    const norm = squares === 0 ? 1 : Math.sqrt(squares);
    for (let i = start; i < end; i++) values[i]! /= norm;
  }
};
