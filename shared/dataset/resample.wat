;; The inner loops of area averaging, four float32 at a time: V8 does not vectorise JavaScript. Pointers are byte offsets
;; into `memory`. Rows are handled in whole steps, so what lies behind a row may be read, and behind a sum written, up to
;; 16 values further. `build_kernels.ts` assembles this file to resample.wasm; a test holds the two together.
(module
  (memory (export "memory") 1)

  ;; sum += weight · row over `count` samples; the row is uint8, the sum float32.
  (func (export "addRow") (param $sum i32) (param $row i32) (param $count i32) (param $weight f32)
    (local $end i32) (local $w v128) (local $v v128) (local $low v128) (local $high v128)
    (local.set $w (f32x4.splat (local.get $weight)))
    (local.set $end (i32.add (local.get $row) (local.get $count)))
    (loop $next
      (local.set $v (v128.load (local.get $row)))
      (local.set $low (i16x8.extend_low_i8x16_u (local.get $v)))
      (local.set $high (i16x8.extend_high_i8x16_u (local.get $v)))
      (v128.store (local.get $sum) (f32x4.add (v128.load (local.get $sum)) (f32x4.mul (local.get $w)
        (f32x4.convert_i32x4_u (i32x4.extend_low_i16x8_u (local.get $low))))))
      (v128.store offset=16 (local.get $sum) (f32x4.add (v128.load offset=16 (local.get $sum)) (f32x4.mul (local.get $w)
        (f32x4.convert_i32x4_u (i32x4.extend_high_i16x8_u (local.get $low))))))
      (v128.store offset=32 (local.get $sum) (f32x4.add (v128.load offset=32 (local.get $sum)) (f32x4.mul (local.get $w)
        (f32x4.convert_i32x4_u (i32x4.extend_low_i16x8_u (local.get $high))))))
      (v128.store offset=48 (local.get $sum) (f32x4.add (v128.load offset=48 (local.get $sum)) (f32x4.mul (local.get $w)
        (f32x4.convert_i32x4_u (i32x4.extend_high_i16x8_u (local.get $high))))))
      (local.set $sum (i32.add (local.get $sum) (i32.const 64)))
      (br_if $next (i32.lt_u (local.tee $row (i32.add (local.get $row) (i32.const 16))) (local.get $end)))))

  ;; Weighted sums of a float32 row for one output cell after another, as float32, plus `base` (4 float32, one per
  ;; channel). A cell begins with the byte offset of its first pixel, followed by `taps` weights (4 bytes each). A pixel has
  ;; `channels` samples (1 to 4), all of which fit into one vector: the lanes beyond are stored too, and overwritten by the
  ;; next cell.
  (func (export "sumCells")
    (param $row i32) (param $cells i32) (param $count i32) (param $taps i32) (param $channels i32) (param $base i32)
    (param $out i32)
    (local $at i32) (local $weight i32) (local $next i32) (local $end i32) (local $s v128) (local $b v128)
    (local.set $b (v128.load (local.get $base)))
    (local.set $channels (i32.shl (local.get $channels) (i32.const 2)))
    (local.set $taps (i32.shl (local.get $taps) (i32.const 2)))
    (local.set $end (i32.add (local.get $out) (i32.mul (local.get $count) (local.get $channels))))
    (loop $cell
      (local.set $at (i32.add (local.get $row) (i32.load (local.get $cells))))
      (local.set $weight (local.get $cells))
      (local.set $next (i32.add (local.get $cells) (local.get $taps)))
      (local.set $s (local.get $b))
      (loop $tap
        (local.set $s (f32x4.add (local.get $s)
          (f32x4.mul (v128.load (local.get $at)) (v128.load32_splat offset=4 (local.get $weight)))))
        (local.set $at (i32.add (local.get $at) (local.get $channels)))
        (br_if $tap
          (i32.lt_u (local.tee $weight (i32.add (local.get $weight) (i32.const 4))) (local.get $next))))
      (v128.store (local.get $out) (local.get $s))
      (local.set $cells (i32.add (local.get $next) (i32.const 4)))
      (br_if $cell
        (i32.lt_u (local.tee $out (i32.add (local.get $out) (local.get $channels))) (local.get $end)))))

  ;; Cuts `count` float32 off to bytes.
  (func (export "cutOff") (param $from i32) (param $count i32) (param $to i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $to) (local.get $count)))
    (loop $next
      (v128.store (local.get $to) (i8x16.narrow_i16x8_u
        (i16x8.narrow_i32x4_s
          (i32x4.trunc_sat_f32x4_s (v128.load (local.get $from)))
          (i32x4.trunc_sat_f32x4_s (v128.load offset=16 (local.get $from))))
        (i16x8.narrow_i32x4_s
          (i32x4.trunc_sat_f32x4_s (v128.load offset=32 (local.get $from)))
          (i32x4.trunc_sat_f32x4_s (v128.load offset=48 (local.get $from))))))
      (local.set $from (i32.add (local.get $from) (i32.const 64)))
      (br_if $next (i32.lt_u (local.tee $to (i32.add (local.get $to) (i32.const 16))) (local.get $end))))))
