;; world: classifier
;; Calls itself until the stack is full.
  (func $deeper (param i32) (result i32)
    (i32.add (call $deeper (local.get 0)) (call $deeper (local.get 0))))

  (func (export "turnpike:policy/classify@0.1.0#classify") (result i32)
    (call $deeper (i32.const 1)))
