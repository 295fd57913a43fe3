;; The inner loop of assembling a batch. Pointers are byte offsets into `memory`. `build_kernels.ts` assembles this file to
;; batch.wasm; a test holds the two together.
(module
  (memory (export "memory") 1)

  ;; Copies one channel of a square of `side` × `side` samples: uint8 `right` and `down` apart from one another, which may be
  ;; backwards, through a table of 256 float32 to float32 that lie `stride` bytes apart.
  (func (export "copyChannel")
    (param $from i32) (param $right i32) (param $down i32) (param $side i32) (param $table i32) (param $to i32)
    (param $stride i32)
    (local $at i32) (local $end i32) (local $y i32)
    (local.set $y (local.get $side))
    (loop $row
      (local.set $at (local.get $from))
      (local.set $end (i32.add (local.get $to) (i32.mul (local.get $side) (local.get $stride))))
      (loop $next
        (f32.store (local.get $to)
          (f32.load (i32.add (local.get $table) (i32.shl (i32.load8_u (local.get $at)) (i32.const 2)))))
        (local.set $at (i32.add (local.get $at) (local.get $right)))
        (br_if $next (i32.lt_u (local.tee $to (i32.add (local.get $to) (local.get $stride))) (local.get $end))))
      (local.set $from (i32.add (local.get $from) (local.get $down)))
      (br_if $row (local.tee $y (i32.sub (local.get $y) (i32.const 1)))))))
