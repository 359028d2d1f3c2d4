;; world: classifier
;; Names a task whose bytes are no text.
  (data (i32.const 4096) "chat\ff\fe")

  (func (export "turnpike:policy/classify@0.1.0#classify") (result i32)
    (i32.store (i32.const 1032) (i32.const 4096))
    (i32.store (i32.const 1036) (i32.const 6))
    (i32.const 1024))
