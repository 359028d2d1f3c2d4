;; world: classifier
;; Names a task that begins in its memory and ends two gigabytes behind it.
  (func (export "turnpike:policy/classify@0.1.0#classify") (result i32)
    (i32.store (i32.const 1036) (i32.const 2147483647))
    (i32.const 1024))
