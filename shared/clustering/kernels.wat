;; The inner loops of K-Means, four float32 at a time: V8 does not vectorise JavaScript, and this is some five
;; times faster. Pointers are byte offsets into `memory`, multiples of 16; `bytes` is the length of a row, a multiple
;; of 16. `build_kernels.ts` assembles this file to kernels.wasm; a test holds the two together.
(module
  (memory (export "memory") 1)

  (func $sum (param $v v128) (result f32)
    (f32.add
      (f32.add (f32x4.extract_lane 0 (local.get $v)) (f32x4.extract_lane 1 (local.get $v)))
      (f32.add (f32x4.extract_lane 2 (local.get $v)) (f32x4.extract_lane 3 (local.get $v)))))

  ;; Squared Euclidean distance of two rows. `bytes` must be a multiple of 64 here: four accumulators hide the
  ;; latency of the additions.
  (func (export "distance") (param $a i32) (param $b i32) (param $bytes i32) (result f32)
    (local $end i32) (local $v v128) (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (local.set $end (i32.add (local.get $a) (local.get $bytes)))
    (loop $next
      (local.set $v (f32x4.sub (v128.load (local.get $a)) (v128.load (local.get $b))))
      (local.set $s0 (f32x4.add (local.get $s0) (f32x4.mul (local.get $v) (local.get $v))))
      (local.set $v (f32x4.sub (v128.load offset=16 (local.get $a)) (v128.load offset=16 (local.get $b))))
      (local.set $s1 (f32x4.add (local.get $s1) (f32x4.mul (local.get $v) (local.get $v))))
      (local.set $v (f32x4.sub (v128.load offset=32 (local.get $a)) (v128.load offset=32 (local.get $b))))
      (local.set $s2 (f32x4.add (local.get $s2) (f32x4.mul (local.get $v) (local.get $v))))
      (local.set $v (f32x4.sub (v128.load offset=48 (local.get $a)) (v128.load offset=48 (local.get $b))))
      (local.set $s3 (f32x4.add (local.get $s3) (f32x4.mul (local.get $v) (local.get $v))))
      (local.set $b (i32.add (local.get $b) (i32.const 64)))
      (br_if $next
        (i32.lt_u (local.tee $a (i32.add (local.get $a) (i32.const 64))) (local.get $end))))
    (call $sum
      (f32x4.add
        (f32x4.add (local.get $s0) (local.get $s1))
        (f32x4.add (local.get $s2) (local.get $s3)))))

  ;; Squared Euclidean distances of `count` rows (a multiple of 4) to one vector, written as float32 from `out` on.
  (func (export "distances")
    (param $rows i32) (param $count i32) (param $bytes i32) (param $vector i32) (param $out i32)
    (local $r1 i32) (local $r2 i32) (local $r3 i32) (local $i i32) (local $c v128) (local $v v128)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (if (i32.eqz (local.get $count)) (then (return)))
    (loop $four
      (local.set $r1 (i32.add (local.get $rows) (local.get $bytes)))
      (local.set $r2 (i32.add (local.get $r1) (local.get $bytes)))
      (local.set $r3 (i32.add (local.get $r2) (local.get $bytes)))
      (local.set $i (i32.const 0))
      (local.set $s0 (v128.const i32x4 0 0 0 0))
      (local.set $s1 (v128.const i32x4 0 0 0 0))
      (local.set $s2 (v128.const i32x4 0 0 0 0))
      (local.set $s3 (v128.const i32x4 0 0 0 0))
      (loop $next
        (local.set $c (v128.load (i32.add (local.get $vector) (local.get $i))))
        (local.set $v (f32x4.sub (v128.load (i32.add (local.get $rows) (local.get $i))) (local.get $c)))
        (local.set $s0 (f32x4.add (local.get $s0) (f32x4.mul (local.get $v) (local.get $v))))
        (local.set $v (f32x4.sub (v128.load (i32.add (local.get $r1) (local.get $i))) (local.get $c)))
        (local.set $s1 (f32x4.add (local.get $s1) (f32x4.mul (local.get $v) (local.get $v))))
        (local.set $v (f32x4.sub (v128.load (i32.add (local.get $r2) (local.get $i))) (local.get $c)))
        (local.set $s2 (f32x4.add (local.get $s2) (f32x4.mul (local.get $v) (local.get $v))))
        (local.set $v (f32x4.sub (v128.load (i32.add (local.get $r3) (local.get $i))) (local.get $c)))
        (local.set $s3 (f32x4.add (local.get $s3) (f32x4.mul (local.get $v) (local.get $v))))
        (br_if $next
          (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 16))) (local.get $bytes))))
      (f32.store (local.get $out) (call $sum (local.get $s0)))
      (f32.store offset=4 (local.get $out) (call $sum (local.get $s1)))
      (f32.store offset=8 (local.get $out) (call $sum (local.get $s2)))
      (f32.store offset=12 (local.get $out) (call $sum (local.get $s3)))
      (local.set $out (i32.add (local.get $out) (i32.const 16)))
      (local.set $rows (i32.add (local.get $r3) (local.get $bytes)))
      (br_if $four (local.tee $count (i32.sub (local.get $count) (i32.const 4))))))

  ;; Inner products of `count` rows (a multiple of 4) with one vector, written as float32 from `out` on.
  (func (export "products")
    (param $rows i32) (param $count i32) (param $bytes i32) (param $vector i32) (param $out i32)
    (local $r1 i32) (local $r2 i32) (local $r3 i32) (local $i i32) (local $c v128)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (if (i32.eqz (local.get $count)) (then (return)))
    (loop $four
      (local.set $r1 (i32.add (local.get $rows) (local.get $bytes)))
      (local.set $r2 (i32.add (local.get $r1) (local.get $bytes)))
      (local.set $r3 (i32.add (local.get $r2) (local.get $bytes)))
      (local.set $i (i32.const 0))
      (local.set $s0 (v128.const i32x4 0 0 0 0))
      (local.set $s1 (v128.const i32x4 0 0 0 0))
      (local.set $s2 (v128.const i32x4 0 0 0 0))
      (local.set $s3 (v128.const i32x4 0 0 0 0))
      (loop $next
        (local.set $c (v128.load (i32.add (local.get $vector) (local.get $i))))
        (local.set $s0 (f32x4.add (local.get $s0)
          (f32x4.mul (v128.load (i32.add (local.get $rows) (local.get $i))) (local.get $c))))
        (local.set $s1 (f32x4.add (local.get $s1)
          (f32x4.mul (v128.load (i32.add (local.get $r1) (local.get $i))) (local.get $c))))
        (local.set $s2 (f32x4.add (local.get $s2)
          (f32x4.mul (v128.load (i32.add (local.get $r2) (local.get $i))) (local.get $c))))
        (local.set $s3 (f32x4.add (local.get $s3)
          (f32x4.mul (v128.load (i32.add (local.get $r3) (local.get $i))) (local.get $c))))
        (br_if $next
          (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 16))) (local.get $bytes))))
      (f32.store (local.get $out) (call $sum (local.get $s0)))
      (f32.store offset=4 (local.get $out) (call $sum (local.get $s1)))
      (f32.store offset=8 (local.get $out) (call $sum (local.get $s2)))
      (f32.store offset=12 (local.get $out) (call $sum (local.get $s3)))
      (local.set $out (i32.add (local.get $out) (i32.const 16)))
      (local.set $rows (i32.add (local.get $r3) (local.get $bytes)))
      (br_if $four (local.tee $count (i32.sub (local.get $count) (i32.const 4))))))

  ;; matrix += Σ row · rowᵀ over `count` rows (a multiple of 4). The matrix is float32, as wide as a row (a multiple of 16
  ;; floats), and only its upper triangle is meant: of what lies below the diagonal, some is not written.
  (func (export "scatter") (param $rows i32) (param $count i32) (param $bytes i32) (param $matrix i32)
    (local $r1 i32) (local $r2 i32) (local $r3 i32) (local $i i32) (local $j i32) (local $m i32)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local $b0 v128) (local $b1 v128) (local $b2 v128) (local $b3 v128)
    (local $x0 v128) (local $x1 v128) (local $x2 v128) (local $x3 v128)
    (if (i32.eqz (local.get $count)) (then (return)))
    (loop $four
      (local.set $r1 (i32.add (local.get $rows) (local.get $bytes)))
      (local.set $r2 (i32.add (local.get $r1) (local.get $bytes)))
      (local.set $r3 (i32.add (local.get $r2) (local.get $bytes)))
      (local.set $i (i32.const 0))
      (local.set $m (local.get $matrix))
      ;; Two rows of the matrix at a time: i and i + 1, of which `m` is the first.
      (loop $pair
        (local.set $a0 (v128.load32_splat (i32.add (local.get $rows) (local.get $i))))
        (local.set $a1 (v128.load32_splat (i32.add (local.get $r1) (local.get $i))))
        (local.set $a2 (v128.load32_splat (i32.add (local.get $r2) (local.get $i))))
        (local.set $a3 (v128.load32_splat (i32.add (local.get $r3) (local.get $i))))
        (local.set $b0 (v128.load32_splat offset=4 (i32.add (local.get $rows) (local.get $i))))
        (local.set $b1 (v128.load32_splat offset=4 (i32.add (local.get $r1) (local.get $i))))
        (local.set $b2 (v128.load32_splat offset=4 (i32.add (local.get $r2) (local.get $i))))
        (local.set $b3 (v128.load32_splat offset=4 (i32.add (local.get $r3) (local.get $i))))
        (local.set $j (i32.and (local.get $i) (i32.const -16)))
        (loop $next
          (local.set $x0 (v128.load (i32.add (local.get $rows) (local.get $j))))
          (local.set $x1 (v128.load (i32.add (local.get $r1) (local.get $j))))
          (local.set $x2 (v128.load (i32.add (local.get $r2) (local.get $j))))
          (local.set $x3 (v128.load (i32.add (local.get $r3) (local.get $j))))
          (v128.store (i32.add (local.get $m) (local.get $j))
            (f32x4.add (v128.load (i32.add (local.get $m) (local.get $j)))
              (f32x4.add
                (f32x4.add (f32x4.mul (local.get $a0) (local.get $x0)) (f32x4.mul (local.get $a1) (local.get $x1)))
                (f32x4.add (f32x4.mul (local.get $a2) (local.get $x2)) (f32x4.mul (local.get $a3) (local.get $x3))))))
          (v128.store (i32.add (i32.add (local.get $m) (local.get $bytes)) (local.get $j))
            (f32x4.add (v128.load (i32.add (i32.add (local.get $m) (local.get $bytes)) (local.get $j)))
              (f32x4.add
                (f32x4.add (f32x4.mul (local.get $b0) (local.get $x0)) (f32x4.mul (local.get $b1) (local.get $x1)))
                (f32x4.add (f32x4.mul (local.get $b2) (local.get $x2)) (f32x4.mul (local.get $b3) (local.get $x3))))))
          (br_if $next
            (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 16))) (local.get $bytes))))
        (local.set $m (i32.add (local.get $m) (i32.shl (local.get $bytes) (i32.const 1))))
        (br_if $pair
          (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (local.get $bytes))))
      (local.set $rows (i32.add (local.get $r3) (local.get $bytes)))
      (br_if $four (local.tee $count (i32.sub (local.get $count) (i32.const 4))))))

  ;; row = row · scale − origin for `count` rows, in place.
  (func (export "frame") (param $rows i32) (param $count i32) (param $bytes i32) (param $origin i32) (param $scale f32)
    (local $i i32) (local $s v128)
    (if (i32.eqz (local.get $count)) (then (return)))
    (local.set $s (f32x4.splat (local.get $scale)))
    (loop $row
      (local.set $i (i32.const 0))
      (loop $next
        (v128.store (local.get $rows) (f32x4.sub
          (f32x4.mul (v128.load (local.get $rows)) (local.get $s))
          (v128.load (i32.add (local.get $origin) (local.get $i)))))
        (local.set $rows (i32.add (local.get $rows) (i32.const 16)))
        (br_if $next
          (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 16))) (local.get $bytes))))
      (br_if $row (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))

  ;; sum += weight · row, where `sum` is float64 (twice `bytes` long) and the row float32.
  (func (export "accumulate") (param $sum i32) (param $row i32) (param $bytes i32) (param $weight f64)
    (local $end i32) (local $w v128) (local $v v128)
    (local.set $w (f64x2.splat (local.get $weight)))
    (local.set $end (i32.add (local.get $row) (local.get $bytes)))
    (loop $next
      (local.set $v (v128.load (local.get $row)))
      (v128.store (local.get $sum)
        (f64x2.add (v128.load (local.get $sum))
          (f64x2.mul (local.get $w) (f64x2.promote_low_f32x4 (local.get $v)))))
      (v128.store offset=16 (local.get $sum)
        (f64x2.add (v128.load offset=16 (local.get $sum))
          (f64x2.mul (local.get $w)
            (f64x2.promote_low_f32x4
              (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $v) (local.get $v))))))
      (local.set $sum (i32.add (local.get $sum) (i32.const 32)))
      (br_if $next
        (i32.lt_u (local.tee $row (i32.add (local.get $row) (i32.const 16))) (local.get $end))))))
